#include "engine/base/digest.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <string>
#include <vector>

namespace uringsync {
namespace {

TEST(DigestTest, HexIsWhatXxhsumPrints) {
  // Published value of XXH3-128 over nothing.
  EXPECT_EQ(Xxh128("").Hex(), "99aa06d3014798d86001c324468d497f");
}

TEST(DigestTest, SeedAndContentChangeIt) {
  EXPECT_EQ(Xxh128("abc"), Xxh128("abc"));
  EXPECT_NE(Xxh128("abc"), Xxh128("abd"));
  EXPECT_NE(Xxh128("abc"), Xxh128("abc", 1));
  EXPECT_FALSE(Xxh128("abc").is_zero());
  EXPECT_TRUE(Digest128{}.is_zero());
}

std::vector<std::byte> Bytes(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 31 + i / 7);
  return bytes;
}

Digest128 ContentDigest(std::span<const std::byte> content) {
  ContentHasher hasher;
  for (size_t at = 0; at < content.size(); at += kLeafBytes)
    hasher.AddLeaf(LeafDigest(content.subspan(at, std::min(kLeafBytes, content.size() - at))));
  return hasher.Finish(content.size());
}

TEST(DigestTest, ContentDigestIsLeavesThenSize) {
  const std::vector<std::byte> content = Bytes(kLeafBytes + 5);
  std::string tree;
  for (size_t at : {size_t{0}, kLeafBytes}) {
    const XXH128_hash_t leaf = XXH3_128bits(content.data() + at, at == 0 ? kLeafBytes : 5);
    tree.append(reinterpret_cast<const char*>(&leaf.low64), 8);
    tree.append(reinterpret_cast<const char*>(&leaf.high64), 8);
  }
  const uint64_t size = content.size();
  tree.append(reinterpret_cast<const char*>(&size), 8);
  EXPECT_EQ(ContentDigest(content), Xxh128(tree));
}

TEST(DigestTest, EmptyAndZeroFilledContentsDifferBySize) {
  EXPECT_NE(ContentDigest({}), ContentDigest(Bytes(1)));
  const std::vector<std::byte> one(1);
  const std::vector<std::byte> two(2);
  EXPECT_NE(ContentDigest(one), ContentDigest(two));
}

TEST(DigestTest, ZeroLeavesNeedNoReading) {
  const std::vector<std::byte> zeros(kLeafBytes);
  EXPECT_EQ(ZeroLeafDigest(kLeafBytes), LeafDigest(zeros));
  EXPECT_EQ(ZeroLeafDigest(17), LeafDigest(std::span(zeros).first(17)));
  EXPECT_EQ(ZeroLeafDigest(0), LeafDigest({}));
}

}  // namespace
}  // namespace uringsync
