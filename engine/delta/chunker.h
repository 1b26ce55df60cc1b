// Chunker: cuts a stream of bytes where its content says so, so that an insertion moves the cuts after it along.
//
// FastCDC with normalised chunking (W. Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for
// Data Deduplication", USENIX ATC 2016): a gear hash (h = 2h + gear[byte]) over the last 64 bytes; a cut where its top
// bits are zero; no cut before `minimum_bytes`, a harder condition before the average, an easier one after it. Each
// chunk gets a seeded XXH3-64, which proposes equality and never decides it (leaf_digest.h).
//
// Both sides must cut alike. The table is kGearTable below: 256 outputs of splitmix64 from kGearSeed. A change of
// table, masks or bounds is a new kChunkingVersion, which travels with each request.
//
// Thread rule: one thread.
// Use:  Chunker chunker(ParametersFor(64 << 10), seed);
//       chunker.Feed(bytes, &chunks);  ...  chunker.Finish(&chunks);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace uringsync {

constexpr uint32_t kChunkingVersion = 1;
constexpr uint64_t kGearSeed = 0x7572696e6773796e;  // "uringsyn"
constexpr uint32_t kMinAverageChunk = 16 << 10;
constexpr uint32_t kMaxAverageChunk = 128 << 10;

struct ChunkParameters {
  uint32_t average_bytes = 0;  // a power of two
  uint32_t minimum_bytes = 0;
  uint32_t maximum_bytes = 0;
  uint64_t hard_limit = 0;  // a cut before the average: hash below this
  uint64_t easy_limit = 0;  // after it
};
// True for the averages that may be asked for: powers of two from kMinAverageChunk to kMaxAverageChunk.
bool IsChunkAverage(uint32_t average_bytes);
// `average_bytes` satisfies IsChunkAverage. Chunks are between half and four times the average.
ChunkParameters ParametersFor(uint32_t average_bytes);
// The average for a file of this size: about 16,000 chunks, within the bounds above.
uint32_t ChunkAverageFor(uint64_t size_bytes);

struct Chunk {
  uint32_t length = 0;  // bytes
  uint64_t digest = 0;  // seeded XXH3-64
  friend bool operator==(const Chunk&, const Chunk&) = default;
};

class Chunker {
 public:
  Chunker(const ChunkParameters& parameters, uint64_t digest_seed);
  ~Chunker();
  Chunker(const Chunker&) = delete;
  Chunker& operator=(const Chunker&) = delete;

  // Takes the next bytes of the stream and appends the chunks that end in them.
  void Feed(std::span<const std::byte> bytes, std::vector<Chunk>* chunks);
  // Appends what is left as the last chunk; nothing at a cut. The chunker starts anew.
  void Finish(std::vector<Chunk>* chunks);
  // Bytes since the last cut.
  uint32_t pending_bytes() const { return length_; }

 private:
  // How many of `bytes` belong to the chunk under way; sets `*cut` when it ends with them.
  size_t Scan(std::span<const std::byte> bytes, bool* cut);
  void EndChunk(std::vector<Chunk>* chunks);

  struct Hash;
  const ChunkParameters parameters_;
  const uint64_t seed_;
  uint32_t length_ = 0;
  uint64_t gear_ = 0;
  std::unique_ptr<Hash> hash_;
};

// The documented table: splitmix64 from kGearSeed.
constexpr std::array<uint64_t, 256> MakeGearTable() {
  std::array<uint64_t, 256> table{};
  uint64_t state = kGearSeed;
  for (uint64_t& entry : table) {
    state += 0x9e3779b97f4a7c15;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    entry = z ^ (z >> 31);
  }
  return table;
}
inline constexpr std::array<uint64_t, 256> kGearTable = MakeGearTable();

}  // namespace uringsync
