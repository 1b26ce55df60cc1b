#include "engine/delta/chunker.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "engine/base/leaf_digest.h"

namespace uringsync {
namespace {

std::vector<std::byte> Noise(size_t bytes, uint64_t state = 0x9e3779b97f4a7c15) {
  std::vector<std::byte> noise(bytes);
  for (size_t i = 0; i + 8 <= bytes; i += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    std::memcpy(noise.data() + i, &state, 8);
  }
  return noise;
}

std::vector<Chunk> Cut(std::span<const std::byte> bytes, uint32_t average, size_t step = size_t{1} << 20,
                       uint64_t seed = 5) {
  Chunker chunker(ParametersFor(average), seed);
  std::vector<Chunk> chunks;
  for (size_t at = 0; at < bytes.size(); at += step)
    chunker.Feed(bytes.subspan(at, std::min(step, bytes.size() - at)), &chunks);
  chunker.Finish(&chunks);
  return chunks;
}

TEST(ChunkerTest, ChunksCoverTheStreamWithinTheBounds) {
  const std::vector<std::byte> noise = Noise(size_t{8} << 20);
  for (uint32_t average : {kMinAverageChunk, uint32_t{64 << 10}, kMaxAverageChunk}) {
    const ChunkParameters parameters = ParametersFor(average);
    const std::vector<Chunk> chunks = Cut(noise, average);
    uint64_t total = 0;
    for (size_t i = 0; i < chunks.size(); ++i) {
      total += chunks[i].length;
      EXPECT_LE(chunks[i].length, parameters.maximum_bytes);
      if (i + 1 < chunks.size()) EXPECT_GE(chunks[i].length, parameters.minimum_bytes);
    }
    EXPECT_EQ(total, noise.size());
    const double mean = static_cast<double>(noise.size()) / static_cast<double>(chunks.size());
    EXPECT_GT(mean, 0.8 * average);
    EXPECT_LT(mean, 1.6 * average);
  }
}

TEST(ChunkerTest, TheSizeOfTheFeedsDoesNotMatter) {
  const std::vector<std::byte> noise = Noise(1 << 20);
  const std::vector<Chunk> whole = Cut(noise, kMinAverageChunk, noise.size());
  for (size_t step : {size_t{1}, size_t{3}, size_t{4096}, size_t{65537}})
    EXPECT_EQ(Cut(noise, kMinAverageChunk, step), whole);
}

TEST(ChunkerTest, AnInsertionMovesTheCutsBehindItAlong) {
  const std::vector<std::byte> old_bytes = Noise(size_t{4} << 20);
  for (size_t inserted : {size_t{1}, size_t{777}, size_t{1} << 20}) {
    std::vector<std::byte> new_bytes = Noise(inserted, 99);
    new_bytes.insert(new_bytes.end(), old_bytes.begin(), old_bytes.end());
    std::multiset<uint64_t> known;
    for (const Chunk& chunk : Cut(old_bytes, kMinAverageChunk)) known.insert(chunk.digest);
    uint64_t found = 0;
    for (const Chunk& chunk : Cut(new_bytes, kMinAverageChunk))
      found += known.contains(chunk.digest) ? chunk.length : 0;
    EXPECT_GT(found, old_bytes.size() - size_t{256 << 10}) << inserted;
  }
}

TEST(ChunkerTest, TheSeedChangesDigestsAndNoCut) {
  const std::vector<std::byte> noise = Noise(1 << 20);
  const std::vector<Chunk> one = Cut(noise, kMinAverageChunk, noise.size(), 1);
  const std::vector<Chunk> two = Cut(noise, kMinAverageChunk, noise.size(), 2);
  ASSERT_EQ(one.size(), two.size());
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].length, two[i].length);
    EXPECT_NE(one[i].digest, two[i].digest);
  }
}

// Both sides of a session may be of different releases: what is written here may only change with kChunkingVersion.
TEST(ChunkerTest, VersionOneCutsWhereItAlwaysDid) {
  EXPECT_EQ(kChunkingVersion, 1u);
  EXPECT_EQ(kGearTable[0], 7973139391923789018u);
  const std::vector<Chunk> chunks = Cut(Noise(200 << 10), kMinAverageChunk);
  std::vector<uint32_t> lengths;
  for (const Chunk& chunk : chunks) lengths.push_back(chunk.length);
  EXPECT_EQ(lengths,
            (std::vector<uint32_t>{15446, 17839, 22568, 18882, 20945, 20118, 25174, 17662, 23383, 17753, 5030}));
}

TEST(ChunkerTest, BytesThatNeverCutEndAtTheMaximum) {
  const std::vector<std::byte> zeros(size_t{1} << 20);
  for (const Chunk& chunk : Cut(zeros, kMinAverageChunk))
    EXPECT_LE(chunk.length, ParametersFor(kMinAverageChunk).maximum_bytes);
}

TEST(ChunkerTest, OnlyPowersOfTwoWithinTheBoundsAreAverages) {
  EXPECT_TRUE(IsChunkAverage(16 << 10));
  EXPECT_TRUE(IsChunkAverage(128 << 10));
  for (uint32_t wrong : {0u, 1u, 8u << 10, 24u << 10, 256u << 10, 0x80000000u})
    EXPECT_FALSE(IsChunkAverage(wrong)) << wrong;
  EXPECT_EQ(ChunkAverageFor(0), 16u << 10);
  EXPECT_EQ(ChunkAverageFor(uint64_t{1} << 30), 64u << 10);
  EXPECT_EQ(ChunkAverageFor(uint64_t{2} << 30), 128u << 10);
  EXPECT_EQ(ChunkAverageFor(uint64_t{1} << 62), 128u << 10);
}

TEST(LeafDigestTest, IsGmacUnderTheLeafsNumber) {
  // GCM specification, test case 1: zero key, zero nonce, nothing to authenticate.
  LeafHasher zero(LeafKey{});
  const std::array<uint8_t, 16> wanted = {0x58, 0xe2, 0xfc, 0xce, 0xfa, 0x7e, 0x30, 0x61,
                                          0x36, 0x7f, 0x1d, 0x57, 0xa4, 0xe7, 0x45, 0x5a};
  EXPECT_EQ(zero.Tag(0, {}).bytes, wanted);
}

TEST(LeafDigestTest, DependsOnKeyNumberAndEveryByte) {
  std::vector<std::byte> leaf = Noise(kLeafBytes);
  LeafSecret secret{};
  LeafHasher hasher(DeriveLeafKey(secret, leaf));
  const LeafTag tag = hasher.Tag(7, leaf);
  EXPECT_EQ(hasher.Tag(7, leaf), tag);
  EXPECT_NE(hasher.Tag(8, leaf), tag);
  hasher.Begin(7);
  for (size_t at = 0; at < leaf.size(); at += 65536) hasher.Update(std::span(leaf).subspan(at, 65536));
  EXPECT_EQ(hasher.Finish(), tag);
  secret[31] = 1;
  EXPECT_NE(LeafHasher(DeriveLeafKey(secret, leaf)).Tag(7, leaf), tag);
  for (size_t at : {size_t{0}, leaf.size() / 2, leaf.size() - 1}) {
    leaf[at] ^= std::byte{1};
    EXPECT_NE(hasher.Tag(7, leaf), tag);
    leaf[at] ^= std::byte{1};
  }
  EXPECT_NE(hasher.Tag(7, std::span(leaf).first(leaf.size() - 1)), tag);
}

TEST(LeafDigestTest, LeavesCoverTheFile) {
  EXPECT_EQ(LeafCount(0), 0u);
  EXPECT_EQ(LeafCount(kLeafBytes + 1), 2u);
  EXPECT_EQ(LeafLength(1, kLeafBytes + 5), 5u);
}

}  // namespace
}  // namespace uringsync
