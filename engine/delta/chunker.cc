#include "engine/delta/chunker.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>

namespace uringsync {
namespace {

// Normalisation level: the condition is 2^2 times as hard before the average, and as easy after it.
constexpr uint32_t kNormalisation = 2;
constexpr uint64_t kChunksWanted = 16 << 10;
constexpr uint32_t kMaximumFactor = 4;

// Index of the first of `count` bytes after which the hash lies below `limit`; `count` when there is none.
size_t FindCut(const std::byte* data, size_t count, uint64_t limit, uint64_t* gear) {
  uint64_t hash = *gear;
  size_t at = 0;
  // Four a turn: what the bytes add is summed up beside the chain, so that a turn waits for one shift and one add, not
  // four.
  for (; at + 4 <= count; at += 4) {
    const uint64_t first = kGearTable[static_cast<uint8_t>(data[at])];
    const uint64_t second = 2 * first + kGearTable[static_cast<uint8_t>(data[at + 1])];
    const uint64_t third = 2 * second + kGearTable[static_cast<uint8_t>(data[at + 2])];
    const uint64_t fourth = 2 * third + kGearTable[static_cast<uint8_t>(data[at + 3])];
    if ((hash << 1) + first < limit) [[unlikely]]
      return at;
    if ((hash << 2) + second < limit) [[unlikely]]
      return at + 1;
    if ((hash << 3) + third < limit) [[unlikely]]
      return at + 2;
    hash = (hash << 4) + fourth;
    if (hash < limit) [[unlikely]]
      return at + 3;
  }
  for (; at < count; ++at) {
    hash = (hash << 1) + kGearTable[static_cast<uint8_t>(data[at])];
    if (hash < limit) [[unlikely]]
      return at;
  }
  *gear = hash;
  return count;
}

}  // namespace

bool IsChunkAverage(uint32_t average_bytes) {
  return std::has_single_bit(average_bytes) && average_bytes >= kMinAverageChunk && average_bytes <= kMaxAverageChunk;
}

ChunkParameters ParametersFor(uint32_t average_bytes) {
  const uint32_t bits = static_cast<uint32_t>(std::countr_zero(average_bytes));
  ChunkParameters parameters;
  parameters.average_bytes = average_bytes;
  parameters.minimum_bytes = average_bytes / 2;
  parameters.maximum_bytes = average_bytes * kMaximumFactor;
  parameters.hard_limit = uint64_t{1} << (64 - (bits + kNormalisation));
  parameters.easy_limit = uint64_t{1} << (64 - (bits - kNormalisation));
  return parameters;
}

uint32_t ChunkAverageFor(uint64_t size_bytes) {
  const uint64_t wanted = std::bit_ceil(std::max<uint64_t>(size_bytes / kChunksWanted, 1));
  return static_cast<uint32_t>(std::clamp<uint64_t>(wanted, kMinAverageChunk, kMaxAverageChunk));
}

struct Chunker::Hash {
  XXH3_state_t* const state = XXH3_createState();
  ~Hash() { XXH3_freeState(state); }
};

Chunker::Chunker(const ChunkParameters& parameters, uint64_t digest_seed)
    : parameters_(parameters), seed_(digest_seed), hash_(std::make_unique<Hash>()) {
  XXH3_64bits_reset_withSeed(hash_->state, seed_);
}

Chunker::~Chunker() = default;

size_t Chunker::Scan(std::span<const std::byte> bytes, bool* cut) {
  size_t at = 0;
  uint32_t length = length_;
  *cut = false;
  // Nothing before the minimum can be a cut, so nothing there is hashed.
  if (length < parameters_.minimum_bytes) {
    at = std::min<size_t>(bytes.size(), parameters_.minimum_bytes - length);
    length += static_cast<uint32_t>(at);
  }
  for (const auto& [end, limit] : {std::pair{parameters_.average_bytes, parameters_.hard_limit},
                                   std::pair{parameters_.maximum_bytes, parameters_.easy_limit}}) {
    if (at == bytes.size() || length >= end) continue;
    const size_t count = std::min<size_t>(bytes.size() - at, end - length);
    const size_t found = FindCut(bytes.data() + at, count, limit, &gear_);
    if (found < count) {
      *cut = true;
      return at + found + 1;
    }
    at += count;
    length += static_cast<uint32_t>(count);
  }
  *cut = length == parameters_.maximum_bytes;
  return at;
}

void Chunker::EndChunk(std::vector<Chunk>* chunks) {
  chunks->push_back({length_, XXH3_64bits_digest(hash_->state)});
  XXH3_64bits_reset_withSeed(hash_->state, seed_);
  length_ = 0;
  gear_ = 0;
}

void Chunker::Feed(std::span<const std::byte> bytes, std::vector<Chunk>* chunks) {
  while (!bytes.empty()) {
    bool cut = false;
    const size_t taken = Scan(bytes, &cut);
    XXH3_64bits_update(hash_->state, bytes.data(), taken);
    length_ += static_cast<uint32_t>(taken);
    bytes = bytes.subspan(taken);
    if (cut) EndChunk(chunks);
  }
}

void Chunker::Finish(std::vector<Chunk>* chunks) {
  if (length_ > 0) EndChunk(chunks);
}

}  // namespace uringsync
