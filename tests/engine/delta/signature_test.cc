#include "engine/delta/signature.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

TEST(LeafDigestTest, VectorInstructionsGiveTheSameTagsWholeAndInParts) {
  const LeafKey key = DeriveLeafKey(LeafSecret{1, 2, 3}, {});
  LeafHasher plain(key, /*vector=*/false);
  LeafHasher quick(key);
  std::vector<std::byte> bytes(kLeafBytes);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 251);
  for (const size_t length : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{17}, size_t{255}, size_t{4096},
                              size_t{100'001}, bytes.size()}) {
    const std::span<const std::byte> part = std::span<const std::byte>(bytes).first(length);
    const LeafTag tag = plain.Tag(length, part);
    EXPECT_EQ(quick.Tag(length, part), tag) << length;
    EXPECT_NE(quick.Tag(length + 1, part), tag) << length;
    // Parts of the kind that files come in, and odd ones.
    for (const size_t step : {size_t{7}, size_t{4096}, size_t{65536}}) {
      if (length / step > 20000) continue;
      quick.Begin(length);
      plain.Begin(length);
      for (size_t at = 0; at < length; at += step) {
        quick.Update(part.subspan(at, std::min(step, length - at)));
        plain.Update(part.subspan(at, std::min(step, length - at)));
      }
      EXPECT_EQ(quick.Finish(), tag) << length << " in steps of " << step;
      EXPECT_EQ(plain.Finish(), tag) << length << " in steps of " << step;
    }
  }
}

LeafRecord Leaf(LeafKind kind, uint8_t fill) {
  LeafRecord leaf;
  leaf.kind = kind;
  if (kind != LeafKind::kHole) leaf.digest.bytes.fill(fill);
  return leaf;
}

std::vector<LeafRecord> SomeLeaves() {
  return {Leaf(LeafKind::kData, 1), Leaf(LeafKind::kHole, 0), Leaf(LeafKind::kSparse, 2)};
}

TEST(SignatureTest, LeavesSurviveTheWire) {
  const SignatureBytes payload = EncodeLeaves(SomeLeaves());
  EXPECT_EQ(payload.size(), 3 + 2 * 16u);
  absl::StatusOr<std::vector<LeafRecord>> leaves = DecodeLeaves(payload, 3);
  ASSERT_TRUE(leaves.ok()) << leaves.status();
  EXPECT_EQ(*leaves, SomeLeaves());
}

TEST(SignatureTest, LeavesOfAnotherNumberOrLengthAreRefused) {
  const SignatureBytes payload = EncodeLeaves(SomeLeaves());
  for (size_t expected : {size_t{0}, size_t{2}, size_t{4}, size_t{1} << 60})
    EXPECT_FALSE(DecodeLeaves(payload, expected).ok());
  for (size_t length = 0; length < payload.size(); ++length)
    EXPECT_FALSE(DecodeLeaves(std::span(payload).first(length), 3).ok());
  SignatureBytes unknown = payload;
  unknown[0] = std::byte{9};
  EXPECT_FALSE(DecodeLeaves(unknown, 3).ok());
}

TEST(SignatureTest, BlocksSurviveTheWireAndNothingElseIsTaken) {
  const std::vector<uint64_t> digests = {1, 2, ~uint64_t{0}};
  const SignatureBytes payload = EncodeBlocks(digests);
  absl::StatusOr<std::vector<uint64_t>> decoded = DecodeBlocks(payload, 3);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, digests);
  EXPECT_FALSE(DecodeBlocks(payload, 2).ok());
  EXPECT_FALSE(DecodeBlocks(std::span(payload).first(17), 2).ok());
}

ChunkList ListOf(std::vector<uint32_t> lengths, size_t leaves) {
  ChunkList list;
  for (uint32_t length : lengths) list.chunks.push_back({length, length * 7ull});
  for (size_t i = 0; i < leaves; ++i) list.leaves.push_back(Leaf(LeafKind::kData, 3));
  return list;
}

TEST(SignatureTest, AChunkListSurvivesTheWire) {
  const ChunkList list = ListOf(std::vector<uint32_t>(72, 16 << 10), 1);
  absl::StatusOr<ChunkList> decoded = DecodeChunkList(EncodeChunkList(list), 16 << 10, 1 << 20, uint64_t{5} << 20);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->chunks, list.chunks);
  EXPECT_EQ(decoded->leaves, list.leaves);
}

TEST(SignatureTest, AChunkListThatDoesNotTileItsRangeIsRefused) {
  const uint32_t average = 16 << 10;
  const uint64_t range = 1 << 20;
  const uint64_t rest = uint64_t{5} << 20;
  auto decode = [&](const ChunkList& list) {
    return DecodeChunkList(EncodeChunkList(list), average, range, rest).status();
  };
  EXPECT_FALSE(decode(ListOf({}, 1)).ok());
  EXPECT_FALSE(decode(ListOf(std::vector<uint32_t>(60, average), 1)).ok()) << "too short";
  EXPECT_FALSE(decode(ListOf(std::vector<uint32_t>(200, average), 1)).ok()) << "too long";
  EXPECT_FALSE(decode(ListOf(std::vector<uint32_t>(72, average), 2)).ok()) << "leaves";
  EXPECT_FALSE(decode(ListOf(std::vector<uint32_t>(9, 8 * average), 1)).ok()) << "beyond the longest chunk";
  EXPECT_FALSE(decode(ListOf(std::vector<uint32_t>(1966, 600), 1)).ok()) << "below the shortest";
  ChunkList zero = ListOf(std::vector<uint32_t>(72, average), 1);
  zero.chunks[3].length = 0;
  EXPECT_FALSE(decode(zero).ok());
}

TEST(SignatureTest, ACountBeyondThePayloadAllocatesNothing) {
  SignatureBytes payload(16);
  const uint32_t count = 0xffffffff;
  std::memcpy(payload.data(), &count, sizeof(count));
  EXPECT_FALSE(DecodeChunkList(payload, 16 << 10, 1 << 20, 1 << 20).ok());
}

TEST(SignatureTest, ChangedRunsJoinOverASmallGap) {
  const std::vector<uint64_t> ours = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_TRUE(ChangedRuns(ours, ours, 4096, 8 * 4096).empty());
  const std::vector<uint64_t> theirs = {1, 9, 3, 9, 5, 6, 7, 9};
  EXPECT_EQ(ChangedRuns(ours, theirs, 4096, 7 * 4096 + 100), (std::vector<LeafRun>{{4096, 3 * 4096}, {7 * 4096, 100}}));
  EXPECT_EQ(ChangedRuns({}, theirs, 4096, 8 * 4096), (std::vector<LeafRun>{{0, 8 * 4096}}));
}

TEST(SignatureTest, BlockDigestsDependOnTheSeedAndCoverAShortEnd) {
  const std::vector<std::byte> bytes(5000, std::byte{7});
  EXPECT_EQ(BlockDigests(bytes, 4096, 1).size(), 2u);
  EXPECT_NE(BlockDigests(bytes, 4096, 1), BlockDigests(bytes, 4096, 2));
  EXPECT_TRUE(BlockDigests({}, 4096, 1).empty());
}

}  // namespace
}  // namespace uringsync
