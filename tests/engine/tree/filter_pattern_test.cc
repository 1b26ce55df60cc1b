#include "engine/tree/filter_pattern.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/support/reference_filter.h"

namespace uringsync {
namespace {

struct Row {
  const char* pattern;
  const char* path;
  bool directory;
  bool matches;
};

TEST(FilterPatternTest, PatternsMatchAsTheManualSays) {
  const Row rows[] = {{"foo", "foo", false, true},
                      {"foo", "a/b/foo", false, true},
                      {"foo", "foo/a", false, false},
                      {"foo", "xfoo", false, false},
                      {"*.o", "a/b.o", false, true},
                      {"*.o", ".o", false, true},
                      {"*.o", "a.o/b", false, false},
                      {"foo*", "foo", false, true},
                      {"/foo", "foo", false, true},
                      {"/foo", "a/foo", false, false},
                      {"foo/", "foo", true, true},
                      {"foo/", "foo", false, false},
                      {"foo/bar", "foo/bar", false, true},
                      {"foo/bar", "a/foo/bar", false, true},
                      {"foo/bar", "afoo/bar", false, false},
                      {"foo/*/bar", "x/foo/y/bar", false, true},
                      {"foo/*/bar", "foo/y/z/bar", false, false},
                      {"/foo/**/bar", "foo/bar", false, false},
                      {"/foo/**/bar", "foo/a/bar", false, true},
                      {"/foo/**/bar", "foo/a/b/bar", false, true},
                      {"**/bar", "bar", false, true},
                      {"**/bar", "a/b/bar", false, true},
                      {"**bar", "a/xbar", false, true},
                      {"a**b", "x/a/c/b", false, true},
                      {"a**b", "xa/b", false, false},
                      {"dir/***", "dir", true, true},
                      {"dir/***", "dir", false, false},
                      {"dir/***", "dir/a/b", false, true},
                      {"dir/**", "dir", true, false},
                      {"?", "a", false, true},
                      {"a?b", "a/b", false, false},
                      {"[a-c]x", "bx", false, true},
                      {"[!a-c]x", "bx", false, false},
                      {"[^a-c]x", "dx", false, true},
                      {"[]x]", "]", false, true},
                      {"[a-]", "-", false, true},
                      {"[[:digit:]]*", "7z", false, true},
                      {"[[:digit:]]*", "z7", false, false},
                      {"[[:nope:]]", "n", false, false},
                      {"[abc", "a", false, false},
                      {"[[:alpha:]-z]", "-", false, true},
                      {"foo\\bar", "foo\\bar", false, true},
                      {"foo\\bar*", "foobarx", false, true},
                      {"foo\\\\bar*", "foo\\barx", false, true},
                      {"\\*", "*", false, true},
                      {"\\*", "\\", false, false},
                      {"*\\", "a", false, false},
                      {"*", "a/b", false, true},
                      {"*/", "a/b", true, true},
                      {"a*/b", "x/a1/b", false, true},
                      {"/", "a", true, false},
                      {"[!a]b", "/b", false, false},
                      {"a/**", "x/a/b", false, true},
                      {"**", "anything/at/all", true, true}};
  for (const Row& row : rows) {
    EXPECT_EQ(FilterPattern(row.pattern).Matches(row.path, row.directory), row.matches)
        << row.pattern << " against " << row.path;
    EXPECT_EQ(ReferenceMatches(row.pattern, row.path, row.directory), row.matches)
        << row.pattern << " against " << row.path;
  }
}

TEST(FilterPatternTest, AbsolutePatternsSeeWhatIsAboveTheRoot) {
  EXPECT_TRUE(FilterPattern("/etc/passwd").Matches("passwd", false, "etc"));
  EXPECT_FALSE(FilterPattern("/etc/passwd").Matches("passwd", false, "srv"));
  EXPECT_TRUE(FilterPattern("subdir/foo").Matches("foo", false, "home/subdir"));
  EXPECT_TRUE(FilterPattern("/passwd").Matches("passwd", false, ""));
  EXPECT_TRUE(FilterPattern("foo").Matches("foo", false, "home"));
  EXPECT_TRUE(FilterPattern("**/a/b").Matches("b", false, "x/a"));
}

// Patterns that take exponential time when every star is tried again.
TEST(FilterPatternTest, ManyStarsTakeNoLongTime) {
  std::string pattern = "/";
  std::string path;
  for (int i = 0; i < 60; ++i) pattern += i % 2 == 0 ? "*a" : "**a";
  pattern += "b";
  for (int i = 0; i < 20; ++i) path += std::string(200, 'a') + "/";
  path += "a";
  EXPECT_FALSE(FilterPattern(pattern).Matches(path, false));
}

TEST(FilterPatternTest, RandomPatternsAgreeWithThePlainMatcher) {
  const char* const kParts[] = {"a",  "b",   "*",           "**", "***", "?",    "/", "[ab]", "[!a]", "[a-c]",
                                "\\", "\\*", "[[:alpha:]]", "[",  "]",   "[]b]", "-", "[\\]", "[[:x]"};
  const char* const kTexts[] = {"a", "b", "c", "/", "*", "]", "-", "\\", "["};
  for (uint32_t seed = 0; seed < 40000; ++seed) {
    std::mt19937 random(seed);
    std::string pattern;
    for (uint32_t n = 1 + random() % 6; n > 0; --n) pattern += kParts[random() % std::size(kParts)];
    std::string path = "a";
    for (uint32_t n = random() % 7; n > 0; --n) {
      const char* text = kTexts[random() % std::size(kTexts)];
      if (*text != '/' || path.back() != '/') path += text;
    }
    if (path.back() == '/') path += 'b';
    for (const bool directory : {false, true}) {
      ASSERT_EQ(FilterPattern(pattern).Matches(path, directory), ReferenceMatches(pattern, path, directory))
          << "seed " << seed << ": " << pattern << " against " << path << (directory ? "/" : "");
    }
  }
}

}  // namespace
}  // namespace uringsync
