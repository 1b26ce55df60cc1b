#include "agent/session_gate.h"

#include "engine/base/errno_status.h"

namespace uringsync {

absl::Status InterruptibleStream::Send(const AgentMessage& message) {
  std::lock_guard lock(send_mutex_);
  if (interrupted_) return absl::CancelledError("the agent is stopping");
  return stream_->Send(message);
}

absl::StatusOr<ClientMessage> InterruptibleStream::Receive() {
  absl::StatusOr<ClientMessage> message = stream_->Receive();
  if (interrupted_) return absl::CancelledError("the agent is stopping");
  return message;
}

void InterruptibleStream::Interrupt(const SessionError& error) {
  std::lock_guard lock(send_mutex_);
  if (interrupted_.exchange(true)) return;
  // A peer that is gone needs no farewell.
  (void)stream_->Send(error);
}

absl::StatusOr<std::unique_ptr<SessionGate::Pass>> SessionGate::Pass::Enter(SessionGate* gate, AgentStream* stream) {
  std::lock_guard lock(gate->mutex_);
  if (gate->stopping_) return absl::UnavailableError("the agent is stopping");
  if (gate->passes_.size() >= gate->max_sessions_) {
    return MakeStatus(absl::StatusCode::kResourceExhausted,
                      "the agent serves " + std::to_string(gate->max_sessions_) + " sessions already; try again later");
  }
  std::unique_ptr<Pass> pass(new Pass(gate, stream));
  pass->place_ = gate->passes_.insert(gate->passes_.end(), pass.get());
  return pass;
}

SessionGate::Pass::~Pass() {
  std::lock_guard lock(gate_->mutex_);
  gate_->passes_.erase(place_);
}

void SessionGate::InterruptAll(const SessionError& error) {
  // The lock is held while peers are told: a session that ends meanwhile waits at its Pass's end, so every pass in the
  // list is whole. Work has been cancelled before, and a send that does not get through is ended by the server's
  // deadline.
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (Pass* pass : passes_) pass->cancel_.Cancel(absl::CancelledError("the agent is stopping"));
  for (Pass* pass : passes_) pass->stream_.Interrupt(error);
}

size_t SessionGate::sessions() const {
  std::lock_guard lock(mutex_);
  return passes_.size();
}

}  // namespace uringsync
