// SessionGate: counts the control streams of an agent and can interrupt them all.
//
// Thread rule: every method from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/errno_status.h"
#include "engine/coro/cancel.h"
#include "proto/transport.h"

namespace uringsync {

// A stream that one message of the agent's own can end: nothing that the handler sends follows it.
class InterruptibleStream final : public AgentStream {
 public:
  explicit InterruptibleStream(AgentStream* stream) : stream_(stream) {}
  // Cancelled after Interrupt.
  absl::Status Send(const AgentMessage& message) override;
  absl::StatusOr<ClientMessage> Receive() override;
  void Close() override { stream_->Close(); }
  std::optional<std::chrono::milliseconds> DetachedFor() const override { return stream_->DetachedFor(); }
  std::optional<std::string> LatestCertificate() const override { return stream_->LatestCertificate(); }
  // Sends `error` as the stream's last message. May block as long as the peer does not read. Send and Receive end with
  // Cancelled and `why` from now on.
  void Interrupt(const SessionError& error, std::string why = "the agent is stopping");
  // From now on nothing but that last message is sent: to be called once, before an Interrupt on another thread.
  void Bar(std::string why);

 private:
  AgentStream* stream_;
  absl::Status Interrupted() const { return MakeStatus(absl::StatusCode::kCancelled, why_); }
  std::mutex send_mutex_;
  std::string why_;  // set before barred_ and interrupted_, once
  std::atomic<bool> barred_{false};
  std::atomic<bool> interrupted_{false};
};

class SessionGate {
 public:
  explicit SessionGate(size_t max_sessions) : max_sessions_(max_sessions) {}

  // One admitted session, from its start to its end.
  class Pass {
   public:
    // ResourceExhausted when the agent is full, Unavailable when it stops.
    // `certificate`: the peer's, as PEM, until the stream knows a later one; empty where it shows none.
    static absl::StatusOr<std::unique_ptr<Pass>> Enter(SessionGate* gate, AgentStream* stream,
                                                       std::string certificate = {});
    ~Pass();
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    InterruptibleStream* stream() { return &stream_; }
    CancelToken token() const { return cancel_.token(); }

   private:
    friend class SessionGate;
    Pass(SessionGate* gate, AgentStream* stream, std::string certificate)
        : gate_(gate), certificate_(std::move(certificate)), stream_(stream) {}
    SessionGate* gate_;
    const std::string certificate_;
    InterruptibleStream stream_;
    CancelSource cancel_;
    bool ending_ = false;
    std::thread breaker_;  // sends the farewell of InterruptThose
    std::chrono::steady_clock::time_point broken_at_{};
    std::list<Pass*>::iterator place_;
  };

  // Lets nobody in any more, cancels every token and sends every peer `error`. May block as long as a peer does not
  // read, and must not run beside a second call.
  void InterruptAll(const SessionError& error);
  // The same for those whose certificate `chosen` picks: it does not block, and the gate stays open. How many they
  // were. CutOverdue, called now and then, cuts off those that do not end within kInterruptLimit.
  static constexpr std::chrono::seconds kInterruptLimit{5};
  void CutOverdue();
  size_t InterruptThose(const std::function<bool(const std::string& certificate)>& chosen, const SessionError& error);
  size_t sessions() const;

 private:
  const size_t max_sessions_;
  mutable std::mutex mutex_;
  std::list<Pass*> passes_;
  bool stopping_ = false;
};

}  // namespace uringsync
