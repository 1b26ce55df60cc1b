// Transport: what session and planner logic know of the way between coordinator and agent.
//
// A control stream of whole messages, both ways. Credit lives in the messages (ManifestCredit, ApplyProgress), so a
// receiver that keeps reading never stalls the peer, and the same logic runs over gRPC, an in-memory pair and, later, a
// byte pipe. One conformance suite (tests/conformance/transport_*) runs on all kinds.
//
// Thread rule: one thread may Send while another Receives; Close from any thread. Both block the calling thread (never
// a shard's thread).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

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
};

using ClientStream = MessageStream<ClientMessage, AgentMessage>;  // the coordinator's end
using AgentStream = MessageStream<AgentMessage, ClientMessage>;   // the agent's end

// A connected pair in this process; each direction holds up to `window` messages.
std::pair<std::unique_ptr<ClientStream>, std::unique_ptr<AgentStream>> MakeInMemoryControlPair(size_t window);

}  // namespace uringsync
