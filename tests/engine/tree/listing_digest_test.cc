#include "engine/tree/listing_digest.h"

#include <gtest/gtest.h>

namespace uringsync {
namespace {

Entry Plain(FileType type) {
  Entry entry;
  entry.name = "x";
  entry.type = type;
  entry.mode = 0644;
  entry.mtime = {100, 5};
  return entry;
}

bool SameDigest(const Entry& a, const Entry& b, const DigestRules& rules) {
  std::string left;
  std::string right;
  AppendCanonical(a, rules, &left);
  AppendCanonical(b, rules, &right);
  return left == right;
}

TEST(ListingDigestTest, WithAWindowEqualSecondsAreEqualAndOthersAreCompared) {
  DigestRules rules;
  Entry other = Plain(FileType::kRegular);
  other.mtime.nanoseconds = 6;
  EXPECT_FALSE(SameDigest(Plain(FileType::kRegular), other, rules));
  rules.selection.modify_window_s = 3;
  EXPECT_TRUE(SameDigest(Plain(FileType::kRegular), other, rules));
  other.mtime.seconds += 1;
  EXPECT_FALSE(SameDigest(Plain(FileType::kRegular), other, rules));
}

TEST(ListingDigestTest, TimesOfLinksCanBeLeftOut) {
  DigestRules rules;
  Entry other = Plain(FileType::kSymlink);
  other.mtime.seconds += 1;
  EXPECT_FALSE(SameDigest(Plain(FileType::kSymlink), other, rules));
  rules.selection.link_times = false;
  EXPECT_TRUE(SameDigest(Plain(FileType::kSymlink), other, rules));
  Entry file = Plain(FileType::kRegular);
  file.mtime.seconds += 1;
  EXPECT_FALSE(SameDigest(Plain(FileType::kRegular), file, rules));
}

TEST(ListingDigestTest, ExecutabilityIsInItWhereModesAreNot) {
  DigestRules rules;
  rules.selection.mode = false;
  Entry other = Plain(FileType::kRegular);
  other.mode = 0755;
  EXPECT_TRUE(SameDigest(Plain(FileType::kRegular), other, rules));
  rules.selection.executability = true;
  EXPECT_FALSE(SameDigest(Plain(FileType::kRegular), other, rules));
  other.mode = 0600;
  EXPECT_TRUE(SameDigest(Plain(FileType::kRegular), other, rules));
}

}  // namespace
}  // namespace uringsync
