// ShellChannel: a mux (engine/net/mux.h) over the pipes of a remote shell, running on shard 0 of a runtime.
//
// Thread rule: Start, Stop and destruction on one thread that is no shard; Open and Spawn on shard 0.
// Use:  US_ASSIGN_OR_RETURN(auto channel, ShellChannel::Start({.runtime = runtime, .ends = std::move(ends), .on_stream
// = serve}));
//       channel->Begin();   ...   channel->Stop();
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/coro/task.h"
#include "engine/net/mux.h"
#include "engine/net/pipe_stream.h"

namespace uringsync {

class Runtime;
class Shard;

// How long Stop lets the peer take what was written.
constexpr std::chrono::milliseconds kShellGoodbye{1000};

struct ShellChannelOptions {
  Runtime* runtime = nullptr;
  PipeEnds ends;  // past the greeting
  MuxSide side = MuxSide::kAgent;
  // ≥ 0: nothing is read from the pipe before there is something to read here (borrowed): until then somebody else
  // greets.
  int begin_with = -1;
  // Serves a stream that the peer opened, on shard 0, within the channel's life.
  std::function<Task<void>(MuxAccepted)> on_stream;
  // Called once on shard 0 with what Mux::Run gave.
  std::function<void(const absl::Status&)> on_end;
};

class ShellChannel {
 public:
  // Takes the pipes; nothing is read or served before Begin. The status of what the kernel refused.
  static absl::StatusOr<std::unique_ptr<ShellChannel>> Start(ShellChannelOptions options);
  // Stops.
  ~ShellChannel();
  ShellChannel(const ShellChannel&) = delete;
  ShellChannel& operator=(const ShellChannel&) = delete;

  // Once.
  void Begin();
  // As Mux::Open.
  absl::StatusOr<std::unique_ptr<Stream>> Open(MuxKind kind);
  // Runs `task` on shard 0 and waits for it in Stop.
  void Spawn(Task<void> task);
  // Breaks every stream off. Any thread.
  void Cut();
  // Says goodbye, waits at most kShellGoodbye for it to be taken, and ends everything. Idempotent.
  void Stop();

 private:
  struct State;
  explicit ShellChannel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace uringsync
