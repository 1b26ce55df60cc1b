// Frames as they arrive from anybody who can reach the data port: the prefix, then the reader over a stream of these
// bytes. Where the first byte is odd, the stream begins with a good magic and version, which no mutation finds in time.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "engine/coro/executor.h"
#include "engine/coro/scope.h"
#include "engine/net/frame.h"
#include "engine/net/memory_stream.h"

namespace uringsync {
namespace {

constexpr FrameLimits kSmallLimits{.max_header_bytes = 4096, .max_payload_bytes = 65536};

void CheckPrefix(ConstBytes input) {
  if (input.size() < kFramePrefixBytes) return;
  const std::span<const std::byte, kFramePrefixBytes> bytes(input.data(), kFramePrefixBytes);
  const absl::StatusOr<FramePrefix> prefix = ParseFramePrefix(bytes, kSmallLimits);
  if (!prefix.ok()) return;
  if (prefix->header_length > kSmallLimits.max_header_bytes ||
      prefix->payload_length > kSmallLimits.max_payload_bytes) {
    std::abort();
  }
  const auto again = EncodeFramePrefix(*prefix);
  if (std::memcmp(again.data(), bytes.data(), again.size()) != 0) std::abort();
}

Task<void> Feed(Stream* stream, ConstBytes input) {
  const std::array<std::byte, kFramePrefixBytes> good = EncodeFramePrefix({});
  const bool begin_well = !input.empty() && (static_cast<uint8_t>(input.front()) & 1) != 0;
  const std::array<ConstBytes, 2> parts = {ConstBytes(good).first(begin_well ? 3 : 0), input};
  (void)co_await stream->WriteAll(parts, kNoTimeout);
  (void)co_await stream->EndWrites(kNoTimeout);
}

Task<void> ReadAll(Stream* stream) {
  FrameReader reader(stream, kSmallLimits);
  while (true) {
    absl::StatusOr<Frame> frame = co_await reader.Read(kNoTimeout, kNoTimeout);
    if (!frame.ok()) break;
  }
  stream->Shutdown();
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  const ConstBytes input = std::as_bytes(std::span<const uint8_t>(data, size));
  CheckPrefix(input);
  ManualExecutor executor;
  Executor::Guard guard(&executor);
  auto [near, far] = MakeMemoryStreamPair();
  Scope scope;
  scope.Spawn(Feed(far.get(), input));
  scope.Spawn(ReadAll(near.get()));
  executor.RunUntilIdle();
  if (scope.running() != 0) std::abort();
  return 0;
}
