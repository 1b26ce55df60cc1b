// ResumableSessions: the control streams of an agent that survive the loss of their connection, and what lets their
// coordinators go on with them.
//
// A session whose connection is lost stays as it is (its lock, its work, what it has staged) and waits: for the time
// that its coordinator asked for, within the agent's own limit. Whoever wants to go on with it shows the stream's token, which
// changes with every connection, under the same names of a certificate as the session was begun with.
//
// Thread rule: every method from any thread. Outlives its streams.
// Use:  ResumableSessions sessions(10min);  ControlService service(handler, false, &sessions);  ...  sessions.Stop();
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/refusal_log.h"
#include "proto/grpc_service.h"

namespace uringsync {

class ResumableSessions final : public ResumeHost {
 public:
  // `on_resumed` hears of each peer that has shown a stream's token.
  // `longest`: no session is kept without a connection for longer; 0: a session ends with its connection.
  explicit ResumableSessions(std::chrono::milliseconds longest, std::function<void(const ControlPeer& peer)> on_resumed = nullptr)
      : longest_(longest), on_resumed_(std::move(on_resumed)) {}

  ResumeGrant Grant(const ResumeOffer& offer) override;
  // AlreadyExists where the peer names a stream that is there.
  absl::StatusOr<std::unique_ptr<AgentStream>> Begin(const ResumeOffer& offer, const ControlPeer& peer,
                                                     std::shared_ptr<ByteStream> call) override;
  // NotFound alike for an unknown stream, a wrong token and another certificate; OutOfRange and InvalidArgument for a
  // place in the stream where nobody can go on. Nothing has changed then.
  absl::Status Resume(const ResumeRequest& request, const ControlPeer& peer,
                      std::shared_ptr<ByteStream> call) override;
  // From now on a stream ends with its connection; those without one end at once.
  void Stop();

 private:
  class Waiting;
  class Resumable;
  void Forget(const StreamId& stream);

  const std::chrono::milliseconds longest_;
  const std::function<void(const ControlPeer& peer)> on_resumed_;
  std::mutex mutex_;
  std::map<StreamId, std::shared_ptr<Waiting>> streams_;
  bool stopping_ = false;
  RefusalLog refusals_;
};

}  // namespace uringsync
