// Signatures: what a source says of a range of a file instead of its contents, and their payload form.
//
//   leaves = *kind *digest                       one kind (1 byte) a leaf, then 16 bytes for each leaf that is no hole
//   blocks = *digest                             8 bytes a block
//   chunks = count *( length digest ) leaves     count and length 4 bytes, digest 8
//
// Integers are little-endian. A payload is at most one piece (1 MiB) and says exactly what was asked for, or it is
// refused before anything is allocated by what it claims.
//
// Thread rule: functions and values; any thread.
// Use:  absl::StatusOr<std::vector<LeafRecord>> leaves = DecodeLeaves(payload, expected_leaves);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/leaf_digest.h"
#include "engine/delta/chunker.h"

namespace uringsync {

// Most bytes of a file that one request may ask a signature of, and where the range of one must begin (a leaf).
constexpr uint64_t kMaxSignatureRange = uint64_t{64} << 20;
// A chunk list goes on beyond its range, to the first cut this many average chunks later, so that lists of neighbouring
// ranges meet: what is cut anew at the beginning of a range falls into step within a chunk or two.
constexpr uint64_t kChunkOverlapAverages = 8;
constexpr uint32_t kMinBlockBytes = 512;
constexpr uint32_t kMaxBlockBytes = 64 << 10;
bool IsBlockSize(uint32_t block_bytes);  // a power of two within these bounds

enum class LeafKind : uint8_t {
  kData = 1,
  kSparse = 2,  // data with holes in it; the digest takes them as zeros
  kHole = 3     // nothing but a hole; no digest
};
struct LeafRecord {
  LeafKind kind = LeafKind::kData;
  LeafTag digest;
  friend bool operator==(const LeafRecord&, const LeafRecord&) = default;
};

struct ChunkList {
  std::vector<Chunk> chunks;       // in order from the range's first byte
  std::vector<LeafRecord> leaves;  // of the range
};

using SignatureBytes = std::vector<std::byte>;
SignatureBytes EncodeLeaves(std::span<const LeafRecord> leaves);
SignatureBytes EncodeBlocks(std::span<const uint64_t> digests);
SignatureBytes EncodeChunkList(const ChunkList& list);

// InvalidArgument names what is wrong.
absl::StatusOr<std::vector<LeafRecord>> DecodeLeaves(std::span<const std::byte> payload, size_t expected);
absl::StatusOr<std::vector<uint64_t>> DecodeBlocks(std::span<const std::byte> payload, size_t expected);
// `range_bytes` was asked for, `rest_bytes` of the file are there from the range's beginning.
absl::StatusOr<ChunkList> DecodeChunkList(std::span<const std::byte> payload, uint32_t average_bytes,
                                          uint64_t range_bytes, uint64_t rest_bytes);

// Seeded XXH3-64 of each block of `bytes`, the last one short.
std::vector<uint64_t> BlockDigests(std::span<const std::byte> bytes, uint32_t block_bytes, uint64_t seed);

// Part of a leaf, in bytes from its beginning.
struct LeafRun {
  size_t offset = 0;
  size_t length = 0;
  friend bool operator==(const LeafRun&, const LeafRun&) = default;
};
// Where the blocks of `length` bytes differ. Runs with a gap of one equal block become one: a request costs more than a
// block.
std::vector<LeafRun> ChangedRuns(std::span<const uint64_t> ours, std::span<const uint64_t> theirs, uint32_t block_bytes,
                                 size_t length);

}  // namespace uringsync
