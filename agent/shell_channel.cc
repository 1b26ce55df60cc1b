#include "agent/shell_channel.h"

#include <poll.h>

#include <optional>
#include <utility>

#include "engine/coro/scope.h"
#include "engine/ring/runtime.h"

namespace uringsync {

struct ShellChannel::State {
  explicit State(ShellChannelOptions channel_options)
      : options(std::move(channel_options)), shard(&options.runtime->shard(0)) {}

  Task<void> Open(absl::Status* opened);
  Task<void> Run();
  Task<void> AcceptAll();
  Task<void> CutNow();
  Task<void> Close();
  Task<void> CutLate(Op* timer, bool* running, const bool* over);

  ShellChannelOptions options;
  Shard* const shard;
  std::unique_ptr<Mux> mux;
  Op waiting;
  bool is_waiting = false;
  bool closing = false;
  bool ended = false;
  Scope running;
  bool begun = false;
  bool stopped = false;
};

Task<void> ShellChannel::State::Open(absl::Status* opened) {
  absl::StatusOr<std::unique_ptr<PipeStream>> pipe = PipeStream::Adopt(shard->driver(), std::move(options.ends));
  *opened = pipe.status();
  if (pipe.ok()) mux = std::make_unique<Mux>(*std::move(pipe), options.side, shard->driver());
  co_return;
}

Task<void> ShellChannel::State::Run() {
  if (options.begin_with >= 0) {
    waiting.code = OpCode::kPoll;
    waiting.fd = options.begin_with;
    waiting.flags = POLLIN;
    is_waiting = true;
    static_cast<void>(co_await Await(shard->driver(), &waiting));
    is_waiting = false;
  }
  if (closing) mux->Shutdown();
  absl::Status end = co_await mux->Run();
  ended = true;
  if (options.on_end) options.on_end(end);
}

Task<void> ShellChannel::State::AcceptAll() {
  while (true) {
    std::optional<MuxAccepted> accepted = co_await mux->Accept();
    if (!accepted) co_return;
    running.Spawn(options.on_stream(*std::move(accepted)));
  }
}

Task<void> ShellChannel::State::CutNow() {
  mux->Shutdown();
  co_return;
}

Task<void> ShellChannel::State::CutLate(Op* timer, bool* timing, const bool* over) {
  if (*over) co_return;
  *timing = true;
  const int64_t result = co_await Await(shard->driver(), timer);
  *timing = false;
  if (result != -ECANCELED) mux->Shutdown();
}

Task<void> ShellChannel::State::Close() {
  closing = true;
  if (is_waiting) {
    shard->driver()->Cancel(&waiting);
  } else if (begun && !ended) {
    Op timer;
    timer.code = OpCode::kTimeout;
    timer.timeout = kShellGoodbye;
    bool timing = false;
    bool over = false;
    Scope limit;
    limit.Spawn(CutLate(&timer, &timing, &over));
    co_await mux->End();
    over = true;
    if (timing) shard->driver()->Cancel(&timer);
    co_await limit.Join();
  }
  co_await running.Join();
  mux.reset();
}

ShellChannel::ShellChannel(std::unique_ptr<State> state) : state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<ShellChannel>> ShellChannel::Start(ShellChannelOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  absl::Status opened;
  BlockOn(state->shard, state->Open(&opened));
  if (!opened.ok()) return opened;
  return std::unique_ptr<ShellChannel>(new ShellChannel(std::move(state)));
}

void ShellChannel::Begin() {
  state_->begun = true;
  state_->running.SpawnOn(state_->shard, state_->Run());
  state_->running.SpawnOn(state_->shard, state_->AcceptAll());
}

ShellChannel::~ShellChannel() {
  Stop();
}

absl::StatusOr<std::unique_ptr<Stream>> ShellChannel::Open(MuxKind kind) {
  return state_->mux->Open(kind);
}

void ShellChannel::Spawn(Task<void> task) {
  state_->running.SpawnOn(state_->shard, std::move(task));
}

void ShellChannel::Cut() {
  state_->running.SpawnOn(state_->shard, state_->CutNow());
}

void ShellChannel::Stop() {
  if (std::exchange(state_->stopped, true)) return;
  BlockOn(state_->shard, state_->Close());
}

}  // namespace uringsync
