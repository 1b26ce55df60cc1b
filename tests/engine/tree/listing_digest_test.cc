#include "engine/tree/listing_digest.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "tests/support/colliding_contents.h"

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

// Targets of symlinks are what whoever writes to a tree chooses most freely.
TEST(ListingDigestTest, ListingsThatCollideInXxh3HaveDifferentDigestsUnderAKey) {
  DigestRules rules;
  rules.seed = 12345;
  Entry link;
  link.name = "link";
  link.type = FileType::kSymlink;
  link.symlink_target = std::string(3000, 't');
  std::string canonical;
  AppendCanonical(link, rules, &canonical);
  const size_t before = canonical.size() - link.symlink_target.size();
  const auto [one, other] = CollidingContents(std::string(before, 'x') + link.symlink_target, 1024, rules.seed);
  const auto digest = [&](const std::string& text, const std::optional<DigestKey>& key) {
    DigestRules keyed = rules;
    keyed.selection.digest_key = key;
    ListingDigester digester(keyed);
    digester.Begin();
    Entry entry = link;
    entry.symlink_target = text.substr(before);
    EXPECT_TRUE(digester.Add(entry));
    return digester.Finish().digest;
  };
  ASSERT_NE(one, other);
  ASSERT_EQ(digest(one, std::nullopt), digest(other, std::nullopt)) << "the premise";
  EXPECT_NE(digest(one, DigestKeyOf(1)), digest(other, DigestKeyOf(1)));
  EXPECT_EQ(digest(one, DigestKeyOf(1)), digest(one, DigestKeyOf(1)));
  EXPECT_NE(digest(one, DigestKeyOf(1)), digest(one, DigestKeyOf(2)));
}

}  // namespace
}  // namespace uringsync
