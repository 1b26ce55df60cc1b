// The coordinator's end of a control stream over gRPC that survives the loss of its connection. For grpc_control.cc.
//
// It dials again, with growing and scattered pauses, until the agent is there or the time is over, and shows the
// stream's present token. A session that the agent never heard of, because the first connection broke too early, is
// begun anew: nothing that it told has arrived (a session that an agent keeps for no time may have been opened).
//
// Thread rule: as proto/transport.h.
#pragma once

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/grpc_control.h"

namespace uringsync::grpc_internal {

struct ResumableChannel {
  std::shared_ptr<grpc::Channel> first;                   // connected
  std::function<std::shared_ptr<grpc::Channel>()> fresh;  // one that shares no connection with others
  // What hinders a connection at this moment, looked at for at most so long; OK: nothing below gRPC.
  std::function<absl::Status(std::chrono::milliseconds)> diagnose;
  std::string name;  // of the agent, escaped
  Reconnecting reconnecting;
};

// Internal where the system has no randomness for the stream's token.
absl::StatusOr<std::unique_ptr<ClientStream>> OpenResumableStream(ResumableChannel channel);

}  // namespace uringsync::grpc_internal
