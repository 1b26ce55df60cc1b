#include "engine/base/digest.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <span>
#include <string>
#include <vector>

#include "engine/base/entry.h"
#include "engine/base/leaf_digest.h"
#include "tests/support/colliding_contents.h"

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

Digest128 KeyedContentDigest(std::string_view content, const DigestKey& key) {
  ContentHasher hasher(key);
  for (size_t at = 0; at < content.size(); at += kLeafBytes)
    hasher.AddLeaf(std::as_bytes(std::span(content.substr(at, kLeafBytes))));
  return hasher.Finish(content.size());
}

constexpr DigestKey kKey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

TEST(DigestTest, ContentsThatCollideInXxh3HaveDifferentDigestsUnderAKey) {
  for (const size_t size : {size_t{700}, size_t{70000}, 3 * kLeafBytes + 9}) {
    const auto [one, other] = CollidingContents(std::string(size, 'x'), 0, 0);
    ASSERT_NE(one, other);
    ASSERT_EQ(Xxh128(one), Xxh128(other)) << "the premise";
    ASSERT_EQ(ContentDigest(std::as_bytes(std::span(one))), ContentDigest(std::as_bytes(std::span(other))));
    EXPECT_NE(KeyedContentDigest(one, kKey), KeyedContentDigest(other, kKey)) << size;
    EXPECT_EQ(KeyedContentDigest(one, kKey), KeyedContentDigest(one, kKey));
  }
}

TEST(DigestTest, APublishedPairCollidesInXxh3AndNotUnderAKey) {
  const auto [one, other] = PublishedPair();
  ASSERT_NE(one, other);
  ASSERT_EQ(Xxh128(one, kPublishedSeed), Xxh128(other, kPublishedSeed)) << "the premise";
  ASSERT_EQ(XXH3_64bits_withSeed(one.data(), one.size(), kPublishedSeed),
            XXH3_64bits_withSeed(other.data(), other.size(), kPublishedSeed));
  EXPECT_NE(KeyedDigest(DigestKeyOf(kPublishedSeed), DigestDomain::kListing, one),
            KeyedDigest(DigestKeyOf(kPublishedSeed), DigestDomain::kListing, other));
}

TEST(DigestTest, AttributesThatCollideInXxh3HaveDifferentDigestsUnderAKey) {
  // Name and lengths stand before the value: it is padded so that what differs begins a block.
  const std::string name = "user.made-up";
  const size_t before = 2 * sizeof(uint32_t) + name.size();
  const auto [one, other] = CollidingContents(std::string(4000, 'v'), 1024, 0);
  const auto list = [&](const std::string& value) { return XattrList{{name, value.substr(before)}}; };
  ASSERT_NE(one, other);
  ASSERT_EQ(XattrDigest(list(one)), XattrDigest(list(other))) << "the premise";
  EXPECT_NE(XattrDigest(list(one), kKey), XattrDigest(list(other), kKey));
}

TEST(DigestTest, AKeyOfItsOwnMakesOtherDigests) {
  DigestKey second = kKey;
  second[15] ^= 1;
  EXPECT_NE(KeyedContentDigest("abc", kKey), KeyedContentDigest("abc", second));
  EXPECT_NE(KeyedDigest(kKey, DigestDomain::kListing, "abc"), KeyedDigest(kKey, DigestDomain::kTree, "abc"));
  EXPECT_NE(DigestKeyOf(1), DigestKeyOf(2));
}

TEST(DigestTest, ZerosOfAHoleCountAsZerosThatAreRead) {
  const std::string zeros(2 * kLeafBytes + 7, '\0');
  ContentHasher holes(kKey);
  holes.AddZeros(kLeafBytes);
  holes.AddZeros(kLeafBytes);
  holes.AddZeros(7);
  EXPECT_EQ(holes.Finish(zeros.size()), KeyedContentDigest(zeros, kKey));
}

TEST(DigestTest, ManyLeavesAreFoldedWithoutLosingTheirOrder) {
  const auto digest = [](size_t odd) {
    ContentHasher hasher(kKey);
    for (size_t i = 0; i < 10000; ++i) {
      const std::string leaf = i == odd ? "odd" : "even";
      hasher.AddLeaf(std::as_bytes(std::span(leaf)));
    }
    return hasher.Finish(10000);
  };
  EXPECT_EQ(digest(3), digest(3));
  EXPECT_NE(digest(3), digest(4));
  EXPECT_NE(digest(3), digest(9999));
}

}  // namespace
}  // namespace uringsync
