#include "engine/base/rel_path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

RelPath P(std::string_view text) {
  return RelPath::Parse(text).value();
}

TEST(ValidateNameTest, TakesEveryByteButNulAndSlash) {
  for (int byte = 1; byte < 256; ++byte) {
    const std::string name = "x" + std::string(1, static_cast<char>(byte));
    EXPECT_EQ(ValidateName(name).ok(), byte != '/') << byte;
  }
  EXPECT_THAT(ValidateName(std::string("a\0b", 3)), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ValidateNameTest, RefusesWhatMeansAnotherDirectory) {
  EXPECT_FALSE(ValidateName("").ok());
  EXPECT_FALSE(ValidateName(".").ok());
  EXPECT_FALSE(ValidateName("..").ok());
  EXPECT_OK(ValidateName("..."));
  EXPECT_OK(ValidateName(".a"));
  EXPECT_OK(ValidateName("..a"));
}

TEST(ValidateNameTest, LengthLimitIsTheKernels) {
  EXPECT_OK(ValidateName(std::string(255, 'n')));
  EXPECT_FALSE(ValidateName(std::string(256, 'n')).ok());
}

TEST(ValidateNameTest, ErrorShowsTheNameEscaped) {
  EXPECT_THAT(ValidateName("a/\nb"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a/\\012b")));
}

TEST(RelPathTest, ParsesRootAndNestedPaths) {
  EXPECT_TRUE(P("").is_root());
  EXPECT_EQ(P("a/b/c").text(), "a/b/c");
  EXPECT_EQ(P("a/b/c").depth(), 3U);
  EXPECT_EQ(P("").depth(), 0U);
}

TEST(RelPathTest, RefusesEverythingThatIsNotCanonical) {
  for (const char* bad : {"/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a/../b"})
    EXPECT_FALSE(RelPath::Parse(bad).ok()) << bad;
  EXPECT_FALSE(RelPath::Parse(std::string("a\0b", 3)).ok());
}

TEST(RelPathTest, LongerThanPathMaxIsFineUpToTheBound) {
  std::string deep = "d";
  while (deep.size() < 100000) deep += "/directory";
  EXPECT_OK(RelPath::Parse(deep));
  while (deep.size() <= kMaxRelPathBytes) deep += "/directory";
  EXPECT_FALSE(RelPath::Parse(deep).ok());
}

TEST(RelPathTest, ParentNameAndChildFitTogether) {
  EXPECT_EQ(P("a/b").Parent(), P("a"));
  EXPECT_EQ(P("a").Parent(), P(""));
  EXPECT_EQ(P("").Parent(), P(""));
  EXPECT_EQ(P("a/b").name(), "b");
  EXPECT_EQ(P("a").name(), "a");
  EXPECT_EQ(P("").name(), "");
  EXPECT_EQ(P("").Child("x"), P("x"));
  EXPECT_EQ(P("a").Child("x"), P("a/x"));
}

TEST(RelPathTest, IsWithinComparesWholeComponents) {
  EXPECT_TRUE(P("a/b").IsWithin(P("a")));
  EXPECT_TRUE(P("a").IsWithin(P("a")));
  EXPECT_TRUE(P("a").IsWithin(P("")));
  EXPECT_TRUE(P("").IsWithin(P("")));
  EXPECT_FALSE(P("ab").IsWithin(P("a")));
  EXPECT_FALSE(P("a").IsWithin(P("a/b")));
}

TEST(RelPathTest, OrderIsComponentByComponent) {
  // Whole-path byte order would put "a.b/x" and "a b" before "a/x": '.' and ' ' sort below '/'.
  const std::vector<std::string> sorted = {"",    "a",   "a/\x01", "a/x", "a/x/y", "a/\xff", "a\x01",
                                           "a b", "a.b", "a.b/x",  "a0",  "aa",    "b",      "\xc3\xa9"};
  std::vector<RelPath> paths;
  for (const std::string& text : sorted) paths.push_back(P(text));
  std::vector<RelPath> shuffled(paths.rbegin(), paths.rend());
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, paths);
  EXPECT_LT(P("a/x"), P("a.b/x"));
}

// The definition: lexicographic over the list of components.
std::vector<std::string> Components(const std::string& text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (!text.empty() && begin <= text.size()) {
    const size_t slash = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, slash - begin));
    begin = slash + 1;
  }
  return parts;
}

TEST(RelPathTest, OrderAgreesWithComparingComponentLists) {
  std::vector<std::string> texts = {""};
  const std::vector<std::string> names = {"a", "a.", "a!", "b", "\x01", "\xff", "ab"};
  for (const std::string& x : names) {
    texts.push_back(x);
    for (const std::string& y : names) texts.push_back(x + "/" + y);
  }
  for (const std::string& x : texts) {
    for (const std::string& y : texts) {
      const auto parts_less = [](const std::string& l, const std::string& r) {
        return std::lexicographical_compare(l.begin(), l.end(), r.begin(), r.end(), [](char p, char q) {
          return static_cast<unsigned char>(p) < static_cast<unsigned char>(q);
        });
      };
      const std::vector<std::string> cx = Components(x);
      const std::vector<std::string> cy = Components(y);
      EXPECT_EQ(P(x) < P(y), std::lexicographical_compare(cx.begin(), cx.end(), cy.begin(), cy.end(), parts_less))
          << x << " " << y;
    }
  }
}

}  // namespace
}  // namespace uringsync
