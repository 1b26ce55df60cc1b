// Signatures as a source that lies could send them. The first two bytes choose the kind and how much was asked for.
// What is accepted must be what encoding gives back, and no more than its bound.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "engine/delta/chunk_index.h"
#include "engine/delta/signature.h"

namespace uringsync {
namespace {

void Expect(bool holds) {
  if (!holds) std::abort();
}

bool Same(const SignatureBytes& encoded, std::span<const std::byte> payload) {
  return std::equal(encoded.begin(), encoded.end(), payload.begin(), payload.end());
}

void CheckChunks(std::span<const std::byte> payload, uint64_t range_bytes, uint64_t rest_bytes) {
  const absl::StatusOr<ChunkList> list = DecodeChunkList(payload, kMinAverageChunk, range_bytes, rest_bytes);
  if (!list.ok()) return;
  Expect(Same(EncodeChunkList(*list), payload));
  uint64_t covered = 0;
  for (const Chunk& chunk : list->chunks) covered += chunk.length;
  Expect(covered <= rest_bytes && covered >= std::min(range_bytes, rest_bytes));
  ChunkIndex index;
  uint64_t offset = 0;
  for (size_t i = 0; i < list->chunks.size(); ++i) {
    if (i % 2 == 0) index.Add(list->chunks[i], offset);
    offset += list->chunks[i].length;
  }
  CopyPlan plan;
  plan.Add(list->chunks, 0, index);
  plan.Add(list->chunks, range_bytes, index);
  plan.Finish();
  uint64_t end = 0;
  for (const CopyRun& run : plan.runs()) {
    Expect(run.new_offset >= end && run.length > 0);
    end = run.new_offset + run.length;
  }
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  if (size < 2) return 0;
  const size_t asked = data[1];
  const std::span<const std::byte> payload = std::as_bytes(std::span<const uint8_t>(data + 2, size - 2));
  switch (data[0] % 3) {
    case 0: {
      const absl::StatusOr<std::vector<LeafRecord>> leaves = DecodeLeaves(payload, asked);
      if (leaves.ok()) Expect(leaves->size() == asked && Same(EncodeLeaves(*leaves), payload));
      break;
    }
    case 1: {
      const absl::StatusOr<std::vector<uint64_t>> blocks = DecodeBlocks(payload, asked);
      if (blocks.ok()) Expect(blocks->size() == asked && Same(EncodeBlocks(*blocks), payload));
      break;
    }
    default: CheckChunks(payload, (asked + 1) * 4096, (asked + 1) * 4096 + (data[0] / 3) * size_t{8192});
  }
  return 0;
}
