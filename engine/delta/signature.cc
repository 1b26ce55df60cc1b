#include "engine/delta/signature.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr size_t kCountBytes = 4;
constexpr size_t kChunkBytes = 12;

absl::Status Invalid(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "signature: " + text);
}

template <typename Integer>
void Put(Integer value, std::byte*& out) {
  static_assert(std::endian::native == std::endian::little, "payloads are little-endian");
  std::memcpy(out, &value, sizeof(value));
  out += sizeof(value);
}

template <typename Integer>
Integer Take(std::span<const std::byte>& from) {
  Integer value{};
  std::memcpy(&value, from.data(), sizeof(value));
  from = from.subspan(sizeof(value));
  return value;
}

size_t EncodedBytes(std::span<const LeafRecord> leaves) {
  size_t digests = 0;
  for (const LeafRecord& leaf : leaves) digests += leaf.kind == LeafKind::kHole ? 0 : 1;
  return leaves.size() + digests * LeafTag::kBytes;
}

void PutLeaves(std::span<const LeafRecord> leaves, std::byte*& out) {
  for (const LeafRecord& leaf : leaves) Put(static_cast<uint8_t>(leaf.kind), out);
  for (const LeafRecord& leaf : leaves) {
    if (leaf.kind != LeafKind::kHole) Put(leaf.digest.bytes, out);
  }
}

}  // namespace

bool IsBlockSize(uint32_t block_bytes) {
  return std::has_single_bit(block_bytes) && block_bytes >= kMinBlockBytes && block_bytes <= kMaxBlockBytes;
}

SignatureBytes EncodeLeaves(std::span<const LeafRecord> leaves) {
  SignatureBytes payload(EncodedBytes(leaves));
  std::byte* out = payload.data();
  PutLeaves(leaves, out);
  return payload;
}

SignatureBytes EncodeBlocks(std::span<const uint64_t> digests) {
  SignatureBytes payload(digests.size() * sizeof(uint64_t));
  std::byte* out = payload.data();
  for (uint64_t digest : digests) Put(digest, out);
  return payload;
}

SignatureBytes EncodeChunkList(const ChunkList& list) {
  SignatureBytes payload(kCountBytes + list.chunks.size() * kChunkBytes + EncodedBytes(list.leaves));
  std::byte* out = payload.data();
  Put(static_cast<uint32_t>(list.chunks.size()), out);
  for (const Chunk& chunk : list.chunks) {
    Put(chunk.length, out);
    Put(chunk.digest, out);
  }
  PutLeaves(list.leaves, out);
  return payload;
}

absl::StatusOr<std::vector<LeafRecord>> DecodeLeaves(std::span<const std::byte> payload, size_t expected) {
  if (expected > kMaxSignatureRange / kLeafBytes || payload.size() < expected)
    return Invalid("too short for its leaves");
  std::span<const std::byte> kinds = payload.first(expected);
  std::span<const std::byte> digests = payload.subspan(expected);
  std::vector<LeafRecord> leaves(expected);
  for (LeafRecord& leaf : leaves) {
    const uint8_t kind = Take<uint8_t>(kinds);
    if (kind < static_cast<uint8_t>(LeafKind::kData) || kind > static_cast<uint8_t>(LeafKind::kHole)) {
      return Invalid("unknown kind of leaf " + std::to_string(kind));
    }
    leaf.kind = static_cast<LeafKind>(kind);
    if (leaf.kind == LeafKind::kHole) continue;
    if (digests.size() < LeafTag::kBytes) return Invalid("too short for its digests");
    leaf.digest.bytes = Take<std::array<uint8_t, LeafTag::kBytes>>(digests);
  }
  if (!digests.empty()) return Invalid("bytes after the last leaf");
  return leaves;
}

absl::StatusOr<std::vector<uint64_t>> DecodeBlocks(std::span<const std::byte> payload, size_t expected) {
  if (payload.size() % sizeof(uint64_t) != 0 || payload.size() / sizeof(uint64_t) != expected) {
    return Invalid(std::to_string(payload.size()) + " bytes for " + std::to_string(expected) + " blocks");
  }
  std::vector<uint64_t> digests(expected);
  for (uint64_t& digest : digests) digest = Take<uint64_t>(payload);
  return digests;
}

absl::StatusOr<ChunkList> DecodeChunkList(std::span<const std::byte> payload, uint32_t average_bytes,
                                          uint64_t range_bytes, uint64_t rest_bytes) {
  const ChunkParameters parameters = ParametersFor(average_bytes);
  if (payload.size() < kCountBytes) return Invalid("no chunk count");
  const size_t count = Take<uint32_t>(payload);
  if (payload.size() / kChunkBytes < count) return Invalid("too short for its chunks");
  const uint64_t wanted = std::min(rest_bytes, range_bytes + kChunkOverlapAverages * average_bytes);
  ChunkList list;
  list.chunks.resize(count);
  uint64_t covered = 0;
  for (Chunk& chunk : list.chunks) {
    if (covered >= wanted) return Invalid("chunks beyond the range");
    chunk.length = Take<uint32_t>(payload);
    chunk.digest = Take<uint64_t>(payload);
    covered += chunk.length;
    const bool last_of_file = covered == rest_bytes;
    if (chunk.length == 0 || chunk.length > parameters.maximum_bytes || covered > rest_bytes ||
        (chunk.length < parameters.minimum_bytes && !last_of_file)) {
      return Invalid("a chunk of " + std::to_string(chunk.length) + " bytes");
    }
  }
  if (covered < wanted) return Invalid("chunks that do not cover the range");
  US_ASSIGN_OR_RETURN(list.leaves, DecodeLeaves(payload, LeafCount(range_bytes)));
  return list;
}

std::vector<uint64_t> BlockDigests(std::span<const std::byte> bytes, uint32_t block_bytes, uint64_t seed) {
  std::vector<uint64_t> digests;
  digests.reserve(bytes.size() / block_bytes + 1);
  for (size_t at = 0; at < bytes.size(); at += block_bytes) {
    const size_t length = std::min<size_t>(block_bytes, bytes.size() - at);
    digests.push_back(XXH3_64bits_withSeed(bytes.data() + at, length, seed));
  }
  return digests;
}

std::vector<LeafRun> ChangedRuns(std::span<const uint64_t> ours, std::span<const uint64_t> theirs, uint32_t block_bytes,
                                 size_t length) {
  std::vector<LeafRun> runs;
  for (size_t block = 0; block < theirs.size(); ++block) {
    if (block < ours.size() && ours[block] == theirs[block]) continue;
    const size_t begin = block * block_bytes;
    if (begin >= length) break;
    const size_t end = std::min(begin + block_bytes, length);
    if (!runs.empty() && runs.back().offset + runs.back().length + block_bytes >= begin) {
      runs.back().length = end - runs.back().offset;
    } else {
      runs.push_back({begin, end - begin});
    }
  }
  return runs;
}

}  // namespace uringsync
