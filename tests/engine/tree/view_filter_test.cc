// Which operands a source's own rules leave out, and what goes with them. Where merge files count is held against rsync
// in tests/compat/rule_files.py.
#include "engine/tree/view_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::ElementsAre;

class ViewFilterTest : public testing::Test {
 protected:
  ViewMember Member(const std::string& path, bool implied = false) {
    return {.base = dir_.path(),
            .from = *RelPath::Parse(path),
            .at = *RelPath::Parse(path),
            .depth = implied ? ViewDepth::kObject : ViewDepth::kTree,
            .implied = implied};
  }
  std::vector<std::string> Left(const std::vector<std::string>& rules, std::vector<ViewMember> members) {
    const auto view = std::make_shared<TreeView>(std::move(members), TreeViewOptions{});
    ScanFilter filter;
    absl::StatusOr<PathFilterPtr> compiled = PathFilter::Compile(rules, {});
    EXPECT_OK(compiled.status());
    filter.rules = *compiled;
    filter.scope = filter.rules->base();
    DropExcluded(driver_.get(), filter, view);
    std::vector<std::string> left;
    for (const TreeView::Member& member : view->members()) left.push_back(member.at.text());
    return left;
  }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
};

TEST_F(ViewFilterTest, WhatIsExcludedTakesItsWayAlong) {
  for (const char* file : {"way/a/x", "way/on/b", "other/c"}) WriteFile(dir_ / file, "x");
  const std::vector<ViewMember> members = {Member("way", true), Member("way/a"),       Member("way/on", true),
                                           Member("way/on/b"),  Member("other", true), Member("other/c")};
  EXPECT_THAT(Left({"- a"}, members), ElementsAre("other", "other/c", "way", "way/on", "way/on/b"));
  EXPECT_THAT(Left({"- b"}, members), ElementsAre("other", "other/c", "way", "way/a"));
  EXPECT_THAT(Left({"- ?"}, members), ElementsAre());
  EXPECT_EQ(Left({"- way", "- other/"}, members).size(), members.size()) << "no rule hides a way";
}

TEST_F(ViewFilterTest, TheTypeCountsWhereARuleAsksForIt) {
  WriteFile(dir_ / "d/x", "x");
  WriteFile(dir_ / "f", "x");
  EXPECT_THAT(Left({"- d/", "- f/"}, {Member("d"), Member("f")}), ElementsAre("f"));
}

TEST_F(ViewFilterTest, AbsoluteRulesAreAboutWhereTheOperandLies) {
  WriteFile(dir_ / "s/a", "x");
  WriteFile(dir_ / "t/a", "x");
  ViewMember first = Member("s/a");
  ViewMember second = Member("t/a");
  first.at = *RelPath::Parse("a");
  second.at = *RelPath::Parse("b");
  EXPECT_THAT(Left({"-/ " + (dir_ / "s/a")}, {first, second}), ElementsAre("b"));
}

}  // namespace
}  // namespace uringsync
