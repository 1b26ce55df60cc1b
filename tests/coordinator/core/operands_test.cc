#include "coordinator/core/operands.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto kObject = OperandDepth::kObject;
constexpr auto kEntries = OperandDepth::kEntries;
constexpr auto kTree = OperandDepth::kTree;

SourceOperand Made(std::string base, std::string_view from, std::string_view at, OperandDepth depth,
                   bool implied = false, bool follow = false) {
  return {std::move(base), *RelPath::Parse(from), *RelPath::Parse(at), depth, implied, follow};
}

std::vector<SourceOperand> Of(OperandRules rules, std::string_view argument) {
  OperandList list(rules);
  EXPECT_OK(list.Add(argument));
  return list.Take();
}
std::vector<SourceOperand> Listed(OperandRules rules, std::string_view name) {
  OperandList list(rules);
  EXPECT_OK(list.AddListed("src", name));
  return list.Take();
}

TEST(OperandsTest, APathIsItsLastNameAndASlashBehindItMeansWhatIsInIt) {
  const OperandRules rules{.recursive = true};
  EXPECT_THAT(Of(rules, "a/b"), ElementsAre(Made("a", "b", "b", kTree)));
  EXPECT_THAT(Of(rules, "b"), ElementsAre(Made("", "b", "b", kTree)));
  EXPECT_THAT(Of(rules, "/b"), ElementsAre(Made("/", "b", "b", kTree)));
  for (const char* contents : {"a/b/", "a/b/.", "..", ".", "/", "a/.."}) {
    EXPECT_THAT(Of(rules, contents), ElementsAre(Made(contents, "", "", kTree))) << contents;
  }
}

TEST(OperandsTest, WithoutRecursionDirectoriesAreListedOnlyWhereThatIsAsked) {
  EXPECT_THAT(Of({.directories = true}, "a/"), ElementsAre(Made("a/", "", "", kEntries)));
  EXPECT_THAT(Of({.directories = true}, "a"), ElementsAre(Made("", "a", "a", kObject)));
  EXPECT_THAT(Of({}, "a/"), ElementsAre(Made("a/", "", "", kObject)));
}

TEST(OperandsTest, RelativePathsKeepWhatStandsBehindTheAnchor) {
  const OperandRules rules{.relative = true, .recursive = true};
  EXPECT_THAT(Of(rules, "foo/./bar/x"),
              ElementsAre(Made("foo", "bar", "bar", kObject, true, true), Made("foo", "bar/x", "bar/x", kTree)));
  EXPECT_THAT(Of(rules, "/abs//y"),
              ElementsAre(Made("/", "abs", "abs", kObject, true, true), Made("/", "abs/y", "abs/y", kTree)));
  EXPECT_THAT(Of(rules, "/./a"), ElementsAre(Made("/", "a", "a", kTree)));
  // "." itself is in the transfer.
  EXPECT_THAT(Of(rules, "./a/"), ElementsAre(Made("", "", "", kObject), Made("", "a", "a", kTree, false, true)));
  EXPECT_THAT(Of(rules, "."), ElementsAre(Made("", "", "", kTree)));
}

TEST(OperandsTest, DirectoriesOnTheWayAreImpliedOnceOrNotAtAll) {
  OperandList list({.relative = true, .recursive = true});
  ASSERT_OK(list.Add("a/b/c"));
  ASSERT_OK(list.Add("a/b/d"));
  EXPECT_THAT(list.Take(),
              ElementsAre(Made("", "a", "a", kObject, true, true), Made("", "a/b", "a/b", kObject, true, true),
                          Made("", "a/b/c", "a/b/c", kTree), Made("", "a/b/d", "a/b/d", kTree)));
  EXPECT_THAT(Of({.relative = true, .implied_directories = false}, "a/b"),
              ElementsAre(Made("", "a/b", "a/b", kObject)));
}

TEST(OperandsTest, NamesOfAListStayBelowTheirBase) {
  const OperandRules rules{.relative = true, .implied_directories = false, .directories = true};
  EXPECT_THAT(Listed(rules, "a/b"), ElementsAre(Made("src", "a/b", "a/b", kObject)));
  EXPECT_THAT(Listed(rules, "/a"), ElementsAre(Made("src", "a", "a", kObject)));
  EXPECT_THAT(Listed(rules, "../../a/../b"), ElementsAre(Made("src", "b", "b", kObject)));
  EXPECT_THAT(Listed(rules, "a/b/"), ElementsAre(Made("src", "a/b", "a/b", kEntries, false, true)));
  EXPECT_THAT(Listed(rules, "./a/./b"), ElementsAre(Made("src/a", "b", "b", kObject)));
  EXPECT_THAT(Listed(rules, "."), ElementsAre(Made("src", "", "", kEntries)));
  EXPECT_THAT(Listed({.directories = true}, "a/b"), ElementsAre(Made("src/a", "b", "b", kObject)));
  EXPECT_THAT(Listed({.directories = true}, "a/b/"), ElementsAre(Made("src/a/b/", "", "", kEntries)));
}

TEST(OperandsTest, WhatNoNameCanBeIsRefusedWithTheArgument) {
  OperandList list({.relative = true});
  EXPECT_THAT(list.Add("foo/../c"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("found \"..\" dir in relative path: foo/../c")));
  EXPECT_OK(list.Add("../up/./c"));
  EXPECT_THAT(list.Add("a/" + std::string(256, 'n')), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(list.AddListed("src", std::string(300, 'n')), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(OperandsTest, TheDestinationLooksAtThePartsThatTheOperandsFill) {
  const std::vector<SourceOperand> operands = {Made("/s", "x", "x", kObject, true, true),
                                               Made("/s", "x/y", "x/z", kTree), Made("/s", "f", "f", kObject),
                                               Made("/s", "", "", kEntries)};
  EXPECT_THAT(CoveredParts(operands, false),
              ElementsAre(Made("", "x/z", "x/z", kTree), Made("", "f", "f", kObject), Made("", "", "", kEntries)));
  EXPECT_THAT(CoveredParts(operands, true),
              ElementsAre(Made("", "x/z", "x/z", kTree), Made("", "f", "f", kTree), Made("", "", "", kTree)));
}

}  // namespace
}  // namespace uringsync
