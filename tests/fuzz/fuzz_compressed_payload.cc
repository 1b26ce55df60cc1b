// A compressed payload and the length that its message claims. Whatever is accepted has that length, and compressing it
// again gives it back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>

#include "engine/coro/executor.h"
#include "engine/coro/scope.h"
#include "engine/transfer/compressor.h"

namespace uringsync {
namespace {

Task<void> Keep(Task<absl::StatusOr<bool>> task, std::optional<absl::StatusOr<bool>>* out) {
  out->emplace(co_await std::move(task));
}

bool Compress(Compressor* compressor, std::span<const std::byte> raw, int level, Payload* wire) {
  ManualExecutor executor;
  const Executor::Guard guard(&executor);
  std::optional<absl::StatusOr<bool>> smaller;
  Scope scope;
  scope.Spawn(Keep(compressor->Compress(raw, level, wire), &smaller));
  executor.RunUntilIdle();
  if (!smaller || !smaller->ok()) std::abort();
  return **smaller;
}

}  // namespace
}  // namespace uringsync

// Four bytes of claimed length, one of a level, the payload.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  if (size < 5) return 0;
  uint32_t claimed = 0;
  std::memcpy(&claimed, data, sizeof(claimed));
  const int level = data[4] % 10;
  const std::span<const std::byte> input = std::as_bytes(std::span(data + 5, size - 5));
  Decompressor decompressor;
  Payload raw;
  if (decompressor.Decompress(input, claimed, &raw).ok()) {
    if (raw.size() != claimed || claimed > kMaxRawPayloadBytes) std::abort();
  }
  // The input as contents.
  if (input.size() > kMaxRawPayloadBytes) return 0;
  Compressor compressor;
  Payload wire;
  if (!Compress(&compressor, input, level, &wire)) return 0;
  if (!decompressor.Decompress(wire, input.size(), &raw).ok()) std::abort();
  if (!std::equal(raw.begin(), raw.end(), input.begin(), input.end())) std::abort();
  return 0;
}
