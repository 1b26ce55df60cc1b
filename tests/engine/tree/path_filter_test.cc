#include "engine/tree/path_filter.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

PathFilterOptions Above(std::string above, bool delete_excluded = false) {
  PathFilterOptions options;
  options.above = std::move(above);
  options.delete_excluded = delete_excluded;
  return options;
}

// Files by "directory/name"; an error where the text is "!!".
class FakeFiles final : public MergeFiles {
 public:
  explicit FakeFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  absl::StatusOr<std::optional<std::string>> Read(std::string_view directory, const std::string& name) override {
    const std::string path = std::string(directory) + (directory.empty() ? "" : "/") + name;
    asked.push_back(path);
    const auto found = files_.find(path);
    if (found == files_.end()) return std::nullopt;
    if (found->second == "!!") return absl::PermissionDeniedError("no");
    return found->second;
  }
  std::vector<std::string> asked;

 private:
  std::map<std::string, std::string> files_;
};

class PathFilterTest : public testing::Test {
 protected:
  void Compile(const std::vector<std::string>& rules, PathFilterOptions options = {}) {
    absl::StatusOr<PathFilterPtr> filter = PathFilter::Compile(rules, std::move(options));
    ASSERT_OK(filter.status());
    filter_ = *filter;
  }
  // Enters every directory on the way to `path` and judges it.
  FilterVerdict Judge(const std::string& path, FilterSide side = FilterSide::kSender, bool directory = false, bool deleting = false) {
    absl::StatusOr<FilterScopePtr> scope = filter_->Above(files_);
    EXPECT_OK(scope.status());
    scope = filter_->Enter(*scope, "", files_);
    for (size_t slash = path.find('/'); scope.ok() && slash != std::string::npos; slash = path.find('/', slash + 1)) {
      scope = filter_->Enter(*scope, path.substr(0, slash), files_);
    }
    EXPECT_OK(scope.status());
    return filter_->Judge(**scope, side, path, directory, deleting);
  }
  bool Hidden(const std::string& path, bool directory = false) { return Judge(path, FilterSide::kSender, directory) == FilterVerdict::kExclude; }
  bool Protected(const std::string& path, bool deleting = false) {
    return Judge(path, FilterSide::kReceiver, false, deleting) == FilterVerdict::kExclude;
  }
  void Files(std::map<std::string, std::string> files) { files_ = FakeFiles(std::move(files)); }

  PathFilterPtr filter_;
  FakeFiles files_{{}};
};

TEST_F(PathFilterTest, TheFirstRuleThatMatchesDecides) {
  Compile({"+ keep.o", "- *.o", "+ *"});
  EXPECT_FALSE(Hidden("keep.o"));
  EXPECT_TRUE(Hidden("a/x.o"));
  EXPECT_EQ(Judge("a"), FilterVerdict::kInclude);
  Compile({"- a", "!", "- b"});
  EXPECT_FALSE(Hidden("a"));
  EXPECT_TRUE(Hidden("b"));
}

TEST_F(PathFilterTest, TheRuleThatDecidesIsFoundByItsPlace) {
  const absl::StatusOr<PathFilterPtr> filter = PathFilter::Compile({"P kept", "dir-merge,e .rules", "+ a.o", "- *.o"}, {});
  ASSERT_OK(filter);
  const PathFilter::Finding hidden = (*filter)->FindRule(FilterSide::kSender, "d/b.o", false);
  EXPECT_EQ(hidden.verdict, FilterVerdict::kExclude);
  EXPECT_EQ(hidden.rule, 3u);
  EXPECT_TRUE(hidden.merge_before);
  EXPECT_EQ((*filter)->FindRule(FilterSide::kSender, "a.o", false).verdict, FilterVerdict::kInclude);
  EXPECT_EQ((*filter)->FindRule(FilterSide::kSender, ".rules", false).rule, 1u);
  const PathFilter::Finding kept = (*filter)->FindRule(FilterSide::kReceiver, "kept", false);
  EXPECT_EQ(kept.rule, 0u);
  EXPECT_FALSE(kept.merge_before);
  EXPECT_EQ((*filter)->FindRule(FilterSide::kSender, "kept", false).verdict, FilterVerdict::kNone);
}

TEST_F(PathFilterTest, SidesHideAndProtect) {
  Compile({"H h", "P p", "S both", "R both", "- both", "-p soft"});
  EXPECT_TRUE(Hidden("h"));
  EXPECT_FALSE(Protected("h"));
  EXPECT_FALSE(Hidden("p"));
  EXPECT_TRUE(Protected("p"));
  EXPECT_FALSE(Hidden("both"));
  EXPECT_FALSE(Protected("both"));
  EXPECT_TRUE(Protected("soft"));
  EXPECT_FALSE(Protected("soft", /*deleting=*/true));
}

TEST_F(PathFilterTest, DeleteExcludedTakesTheProtectionAway) {
  Compile({"- a", "-sr b", "P c"}, Above("", true));
  EXPECT_TRUE(Hidden("a"));
  EXPECT_FALSE(Protected("a"));
  EXPECT_TRUE(Protected("b"));
  EXPECT_TRUE(Protected("c"));
}

TEST_F(PathFilterTest, NegatedRulesTakeEffectWhereThePatternFails) {
  Compile({"-! */"});
  EXPECT_TRUE(Hidden("file"));
  EXPECT_FALSE(Hidden("directory", true));
}

TEST_F(PathFilterTest, RulesOfADirectoryComeBeforeInheritedOnes) {
  Files({{".f", "- a\n- b\n"}, {"d/.f", "+ a\n"}, {"d/e/.f", "!\n- c\n"}});
  Compile({": .f"});
  EXPECT_TRUE(Hidden("a"));
  EXPECT_FALSE(Hidden("d/a"));
  EXPECT_TRUE(Hidden("d/b"));
  EXPECT_FALSE(Hidden("d/e/b"));
  EXPECT_TRUE(Hidden("d/e/c"));
  EXPECT_FALSE(Hidden("d/c"));
}

TEST_F(PathFilterTest, TheMergeRuleKeepsItsPlaceInTheList) {
  Files({{".f", "- a\n+ b\n"}});
  Compile({"+ a", ": .f", "- b"});
  EXPECT_FALSE(Hidden("a"));
  EXPECT_FALSE(Hidden("b"));
}

TEST_F(PathFilterTest, AnchoredRulesOfAFileBeginAtItsDirectory) {
  Files({{"d/.f", "- /a\n- e/b\n- d/c\n"}});
  Compile({": .f"});
  EXPECT_TRUE(Hidden("d/a"));
  EXPECT_FALSE(Hidden("d/e/a"));
  EXPECT_TRUE(Hidden("d/e/b"));
  EXPECT_TRUE(Hidden("d/c"));
  EXPECT_FALSE(Hidden("a"));
}

TEST_F(PathFilterTest, ADirectoryWithWildcardsInItsNameAnchorsToo) {
  Files({{"d[1]/.f", "- /a\n"}});
  Compile({": .f"});
  EXPECT_TRUE(Hidden("d[1]/a"));
}

TEST_F(PathFilterTest, ModifiersOfTheMergeRuleShapeItsFile) {
  Files({{".n", "a"}, {".w", "x y"}, {".cvsignore", "o ! p"}, {"d/.e", "z"}});
  Compile({":n- .n", ":w+ .w", ":C", ":e- .e", "- x"});
  EXPECT_TRUE(Hidden("a"));
  EXPECT_FALSE(Hidden("d/a"));
  EXPECT_FALSE(Hidden("x"));
  EXPECT_FALSE(Hidden("o"));
  EXPECT_TRUE(Hidden("p"));
  EXPECT_FALSE(Hidden("d/p"));
  EXPECT_TRUE(Hidden(".e"));
  EXPECT_TRUE(Protected("d/.e"));
  EXPECT_TRUE(Hidden("d/z"));
}

TEST_F(PathFilterTest, SidesOfAMergeRuleAreThoseOfItsFile) {
  Files({{".s", "- a"}, {".r", "- b"}});
  Compile({":s .s", ":r .r"});
  EXPECT_TRUE(Hidden("a"));
  EXPECT_FALSE(Protected("a"));
  EXPECT_TRUE(Protected("b"));
  EXPECT_FALSE(Hidden("b"));
}

TEST_F(PathFilterTest, FilesMayMergeFilesOfTheirDirectory) {
  Files({{"d/.f", ". more\n: .g\n"}, {"d/more", "- a\n"}, {"d/.g", "- b\n"}, {"d/e/.g", "- c\n"}, {"x/.g", "- q\n"}});
  Compile({": .f"});
  EXPECT_TRUE(Hidden("d/a"));
  EXPECT_TRUE(Hidden("d/b"));
  EXPECT_TRUE(Hidden("d/e/b"));
  EXPECT_TRUE(Hidden("d/e/c"));
  EXPECT_FALSE(Hidden("d/c"));
  EXPECT_FALSE(Hidden("x/q"));
}

TEST_F(PathFilterTest, FilesAboveTheRootAreReadWhereARuleAsksForThem) {
  Files({{".f", "- top"}, {"srv/.f", "- /tree/a\n- /b\n"}, {"srv/tree/.f", "!!"}});
  Compile({": /.f"}, Above("srv/tree"));
  EXPECT_TRUE(filter_->looks_above());
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr above, filter_->Above(files_));
  EXPECT_EQ(files_.asked, (std::vector<std::string>{".f", "srv/.f"}));
  EXPECT_EQ(filter_->Judge(*above, FilterSide::kSender, "a", false), FilterVerdict::kExclude);
  EXPECT_EQ(filter_->Judge(*above, FilterSide::kSender, "b", false), FilterVerdict::kNone);
  EXPECT_EQ(filter_->Judge(*above, FilterSide::kSender, "d/top", false), FilterVerdict::kExclude);
  Compile({": ../../.f"}, Above("srv/tree"));
  EXPECT_TRUE(filter_->looks_above());
  Compile({": sub/.f"}, Above("srv/tree"));
  EXPECT_FALSE(filter_->looks_above());
}

TEST_F(PathFilterTest, DirectoriesWithoutFilesShareTheirParentsScope) {
  Files({{".f", "- a"}});
  Compile({": .f"});
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr root, filter_->Enter(filter_->base(), "", files_));
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr below, filter_->Enter(root, "d", files_));
  EXPECT_NE(root, filter_->base());
  EXPECT_EQ(below, root);
  Compile({"- a"});
  EXPECT_FALSE(PathFilter::NeedsEntering(*filter_->base()));
}

TEST_F(PathFilterTest, OnlyWhatNoMergeFileCanChangeIsSurelyHidden) {
  Compile({"- a", "- b/", "P c", "H d", ": .f", "- e"});
  EXPECT_TRUE(filter_->SurelyHidden("a"));
  EXPECT_TRUE(filter_->SurelyHidden("x/a"));
  EXPECT_FALSE(filter_->SurelyHidden("b"));
  EXPECT_FALSE(filter_->SurelyHidden("c"));
  EXPECT_TRUE(filter_->SurelyHidden("d"));
  EXPECT_FALSE(filter_->SurelyHidden("e"));
  Compile({"-/ x", "- a"});
  EXPECT_FALSE(filter_->SurelyHidden("a"));
}

TEST_F(PathFilterTest, AbsoluteRulesKnowWhereTheRootLies) {
  Compile({"-/ /srv/tree/a", "-/ tree/b"}, Above("srv/tree"));
  EXPECT_TRUE(Hidden("a"));
  EXPECT_TRUE(Hidden("b"));
  EXPECT_FALSE(Hidden("d/a"));
}

TEST_F(PathFilterTest, WhatIsWrongNamesFileAndRule) {
  Files({{"d/.f", "- a\nbad rule\n"}, {"e/.f", ". /etc/passwd\n"}, {"g/.f", ". gone\n"}, {"h/.f", "!!"}});
  Compile({": .f"});
  const auto enter = [&](const char* directory) { return filter_->Enter(filter_->base(), directory, files_).status(); };
  EXPECT_THAT(enter("d"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("d/.f: Unknown filter rule: bad rule")));
  EXPECT_THAT(enter("e"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("of its own directory only")));
  EXPECT_THAT(enter("g"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("failed to open exclude file gone")));
  EXPECT_THAT(enter("h"), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(PathFilter::Compile({". file"}, {}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not expanded")));
  EXPECT_THAT(PathFilter::Compile({": a/.."}, {}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("names no file")));
}

TEST_F(PathFilterTest, FilesThatMergeEachOtherEnd) {
  Files({{".f", ". .g"}, {".g", ". .f"}});
  Compile({": .f"});
  EXPECT_THAT(filter_->Enter(filter_->base(), "", files_), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too deeply")));
}

// A merge file at every level of a very deep tree.
TEST_F(PathFilterTest, ALongChainOfInheritedListsIsFreedWithoutRecursion) {
  class Everywhere final : public MergeFiles {
    absl::StatusOr<std::optional<std::string>> Read(std::string_view, const std::string&) override { return "- a"; }
  } everywhere;
  Compile({": .f"});
  FilterScopePtr scope = filter_->base();
  for (int i = 0; i < 200000; ++i) {
    ASSERT_OK_AND_ASSIGN(scope, filter_->Enter(scope, "d", everywhere));
  }
  scope = nullptr;
}

}  // namespace
}  // namespace uringsync
