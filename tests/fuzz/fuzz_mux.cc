// The channel of a remote shell as its far end may fill it: any bytes, read by a mux that answers, with streams that
// are accepted, read and answered. Every coroutine must end when the pipe does.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "engine/coro/executor.h"
#include "engine/coro/scope.h"
#include "engine/net/memory_stream.h"
#include "engine/net/mux.h"

namespace uringsync {
namespace {

void CheckHeader(ConstBytes input) {
  if (input.size() < kMuxFrameBytes) return;
  const std::span<const std::byte, kMuxFrameBytes> bytes(input.data(), kMuxFrameBytes);
  const absl::StatusOr<MuxFrame> frame = ParseMuxFrame(bytes);
  if (!frame.ok()) return;
  const auto again = EncodeMuxFrame(*frame);
  if (frame->length > kMaxMuxDataBytes || std::memcmp(again.data(), bytes.data(), again.size()) != 0) std::abort();
}

Task<void> Feed(Stream* stream, ConstBytes input) {
  const std::array<ConstBytes, 1> parts = {input};
  (void)co_await stream->WriteAll(parts, kNoTimeout);
  (void)co_await stream->EndWrites(kNoTimeout);
}

Task<void> Discard(Stream* stream) {
  std::array<std::byte, 4096> buffer;
  while (true) {
    absl::StatusOr<size_t> n = co_await stream->Read(buffer, kNoTimeout);
    if (!n.ok() || *n == 0) co_return;
  }
}

// Sends back what comes.
Task<void> Echo(std::unique_ptr<Stream> stream) {
  std::array<std::byte, 1000> buffer;
  while (true) {
    absl::StatusOr<size_t> n = co_await stream->Read(buffer, kNoTimeout);
    if (!n.ok() || *n == 0) break;
    const std::array<ConstBytes, 1> parts = {ConstBytes(buffer).first(*n)};
    absl::Status written = co_await stream->WriteAll(parts, kNoTimeout);
    if (!written.ok()) break;
  }
  (void)co_await stream->EndWrites(kNoTimeout);
}

Task<void> AcceptAll(Mux* mux, Scope* scope) {
  while (true) {
    std::optional<MuxAccepted> accepted = co_await mux->Accept();
    if (!accepted) co_return;
    // Some are dropped at once.
    if (scope->running() % 3 != 2) scope->Spawn(Echo(std::move(accepted->stream)));
  }
}

Task<void> RunMux(Mux* mux) {
  (void)co_await mux->Run();
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  const ConstBytes input = std::as_bytes(std::span<const uint8_t>(data, size));
  CheckHeader(input);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)CheckMuxGreeting(text, "far");
  ManualExecutor executor;
  Executor::Guard guard(&executor);
  auto [near, far] = MakeMemoryStreamPair();
  Mux mux(std::move(near), MuxSide::kAgent, nullptr);
  Scope scope;
  scope.Spawn(RunMux(&mux));
  scope.Spawn(AcceptAll(&mux, &scope));
  scope.Spawn(Discard(far.get()));
  scope.Spawn(Feed(far.get(), input));
  executor.RunUntilIdle();
  if (scope.running() != 0) std::abort();
  return 0;
}
