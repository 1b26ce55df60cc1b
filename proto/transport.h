// Transport: what session and planner logic know of the way between coordinator and agent.
//
// A control stream of whole messages, both ways. Credit lives in the messages (ManifestCredit, ApplyProgress), so a
// receiver that keeps reading never stalls the peer, and the same logic runs over gRPC, an in-memory pair and, later, a
// byte pipe. One conformance suite (tests/conformance/transport_*) runs on all kinds.
//
// Thread rule: one thread may Send while another Receives; Close from any thread. Both block the calling thread (never
// a shard's thread).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

// A stream that can be gone on with has lost its connection, or has one again.
struct ConnectionChange {
  bool lost = false;
  std::string peer;                   // "agent backup1:7440"; escaped
  std::string why;                    // of a loss; escaped
  std::chrono::milliseconds time{0};  // of a loss: how long another one is tried for; else how long there was none
};

template <typename Out, typename In>
class MessageStream {
 public:
  virtual ~MessageStream() = default;
  // Blocks while the transport's own window is full. Unavailable when the stream has ended; the reason is in Receive().
  virtual absl::Status Send(const Out& message) = 0;
  // Next message; OutOfRange at the peer's orderly end; Unavailable when the connection broke; InvalidArgument when the
  // peer sent something malformed (the stream is over then).
  virtual absl::StatusOr<In> Receive() = 0;
  // Ends both directions now; blocked calls return. Idempotent.
  virtual void Close() = 0;
  // For how long a stream that outlives its connection has had none; nullopt: it has one, or is of another kind. Any
  // thread.
  virtual std::optional<std::chrono::milliseconds> DetachedFor() const { return std::nullopt; }
  // The certificate (PEM, or empty) that the peer of such a stream has shown last; nullopt for streams of another kind.
  // Any thread.
  virtual std::optional<std::string> LatestCertificate() const { return std::nullopt; }
  // `told` hears of such losses, on the thread that receives; to be set before it does.
  virtual void OnConnection(std::function<void(const ConnectionChange&)> told) { static_cast<void>(told); }
};

using ClientStream = MessageStream<ClientMessage, AgentMessage>;  // the coordinator's end
using AgentStream = MessageStream<AgentMessage, ClientMessage>;   // the agent's end

// A connected pair in this process; each direction holds up to `window` messages.
std::pair<std::unique_ptr<ClientStream>, std::unique_ptr<AgentStream>> MakeInMemoryControlPair(size_t window);

}  // namespace uringsync
