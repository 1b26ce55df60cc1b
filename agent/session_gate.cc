#include "agent/session_gate.h"

#include "engine/base/errno_status.h"

namespace uringsync {

absl::Status InterruptibleStream::Send(const AgentMessage& message) {
  std::lock_guard lock(send_mutex_);
  if (interrupted_ || barred_) return Interrupted();
  return stream_->Send(message);
}

absl::StatusOr<ClientMessage> InterruptibleStream::Receive() {
  absl::StatusOr<ClientMessage> message = stream_->Receive();
  if (interrupted_) return Interrupted();
  return message;
}

void InterruptibleStream::Interrupt(const SessionError& error, std::string why) {
  std::lock_guard lock(send_mutex_);
  if (interrupted_) return;
  if (!barred_) why_ = std::move(why);
  interrupted_ = true;
  // A peer that is gone needs no farewell.
  (void)stream_->Send(error);
}

void InterruptibleStream::Bar(std::string why) {
  if (interrupted_) return;
  why_ = std::move(why);
  barred_ = true;
}

absl::StatusOr<std::unique_ptr<SessionGate::Pass>> SessionGate::Pass::Enter(SessionGate* gate, AgentStream* stream,
                                                                            std::string certificate) {
  std::lock_guard lock(gate->mutex_);
  if (gate->stopping_) return absl::UnavailableError("the agent is stopping");
  if (gate->passes_.size() >= gate->max_sessions_) {
    return MakeStatus(absl::StatusCode::kResourceExhausted,
                      "the agent serves " + std::to_string(gate->max_sessions_) + " sessions already; try again later");
  }
  std::unique_ptr<Pass> pass(new Pass(gate, stream, std::move(certificate)));
  pass->place_ = gate->passes_.insert(gate->passes_.end(), pass.get());
  return pass;
}

SessionGate::Pass::~Pass() {
  // Still in the list: CutOverdue ends a farewell that its peer does not take. Nobody starts one any more.
  std::thread breaker;
  {
    std::lock_guard lock(gate_->mutex_);
    ending_ = true;
    breaker.swap(breaker_);
  }
  if (breaker.joinable()) breaker.join();
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

size_t SessionGate::InterruptThose(const std::function<bool(const std::string& certificate)>& chosen,
                                   const SessionError& error) {
  std::lock_guard lock(mutex_);
  size_t count = 0;
  for (Pass* pass : passes_) {
    const bool begun = pass->broken_at_ != std::chrono::steady_clock::time_point();
    if (begun || pass->ending_) continue;
    const std::string certificate = pass->stream_.LatestCertificate().value_or(pass->certificate_);
    if (certificate.empty() || !chosen(certificate)) continue;
    pass->broken_at_ = std::chrono::steady_clock::now();
    pass->cancel_.Cancel(MakeStatus(absl::StatusCode::kCancelled, error.message));
    // What else ends for the same reason must not get in first with less of it.
    pass->stream_.Bar(error.message);
    pass->breaker_ = std::thread([pass, error] { pass->stream_.Interrupt(error, error.message); });
    ++count;
  }
  return count;
}

void SessionGate::CutOverdue() {
  std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  for (Pass* pass : passes_) {
    const bool begun = pass->broken_at_ != std::chrono::steady_clock::time_point();
    if (begun && now - pass->broken_at_ > kInterruptLimit) pass->stream_.Close();
  }
}

size_t SessionGate::sessions() const {
  std::lock_guard lock(mutex_);
  return passes_.size();
}

}  // namespace uringsync
