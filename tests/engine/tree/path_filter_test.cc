#include "engine/tree/path_filter.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

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
  // `above`: where the root of the transfer lies.
  void Compile(const std::vector<std::string>& rules, std::string above = "", bool delete_excluded = false,
               bool nul_separated = false) {
    PathFilterOptions options;
    options.delete_excluded = delete_excluded;
    options.nul_separated = nul_separated;
    absl::StatusOr<PathFilterPtr> filter = PathFilter::Compile(rules, std::move(options));
    ASSERT_OK(filter.status());
    filter_ = *filter;
    above_ = std::move(above);
  }
  // Enters every directory on the way to `path` and judges it.
  FilterVerdict Judge(const std::string& path, FilterSide side = FilterSide::kSender, bool directory = false,
                      bool deleting = false) {
    absl::StatusOr<FilterScopePtr> scope = filter_->Above(files_, above_, "");
    EXPECT_OK(scope.status());
    scope = filter_->Enter(*scope, "", files_);
    for (size_t slash = path.find('/'); scope.ok() && slash != std::string::npos; slash = path.find('/', slash + 1)) {
      scope = filter_->Enter(*scope, path.substr(0, slash), files_);
    }
    EXPECT_OK(scope.status());
    return filter_->Judge(**scope, side, path, directory, deleting);
  }
  bool Hidden(const std::string& path, bool directory = false) {
    return Judge(path, FilterSide::kSender, directory) == FilterVerdict::kExclude;
  }
  bool Protected(const std::string& path, bool deleting = false) {
    return Judge(path, FilterSide::kReceiver, false, deleting) == FilterVerdict::kExclude;
  }
  void Files(std::map<std::string, std::string> files) { files_ = FakeFiles(std::move(files)); }

  PathFilterPtr filter_;
  std::string above_;
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
  const absl::StatusOr<PathFilterPtr> filter =
      PathFilter::Compile({"P kept", "dir-merge,e .rules", "+ a.o", "- *.o"}, {});
  ASSERT_OK(filter);
  const PathFilter::Finding hidden = (*filter)->FindRule(*(*filter)->base(), FilterSide::kSender, "d/b.o", false);
  EXPECT_EQ(hidden.verdict, FilterVerdict::kExclude);
  EXPECT_EQ(hidden.rule, 3u);
  EXPECT_TRUE(hidden.merge_before);
  EXPECT_EQ((*filter)->FindRule(*(*filter)->base(), FilterSide::kSender, "a.o", false).verdict,
            FilterVerdict::kInclude);
  EXPECT_EQ((*filter)->FindRule(*(*filter)->base(), FilterSide::kSender, ".rules", false).rule, 1u);
  const PathFilter::Finding kept = (*filter)->FindRule(*(*filter)->base(), FilterSide::kReceiver, "kept", false);
  EXPECT_EQ(kept.rule, 0u);
  EXPECT_FALSE(kept.merge_before);
  EXPECT_EQ((*filter)->FindRule(*(*filter)->base(), FilterSide::kSender, "kept", false).verdict, FilterVerdict::kNone);
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
  Compile({"- a", "-sr b", "P c"}, "", true);
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
  Compile({": /.f"}, "srv/tree");
  EXPECT_TRUE(filter_->looks_above());
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr above, filter_->Above(files_, above_, ""));
  EXPECT_EQ(files_.asked, (std::vector<std::string>{".f", "srv/.f"}));
  EXPECT_EQ(filter_->Judge(*above, FilterSide::kSender, "a", false), FilterVerdict::kExclude);
  EXPECT_EQ(filter_->Judge(*above, FilterSide::kSender, "b", false), FilterVerdict::kNone);
  EXPECT_EQ(filter_->Judge(*above, FilterSide::kSender, "d/top", false), FilterVerdict::kExclude);
  const auto read = [this](const std::string& rule, const std::string& root, const std::string& first) {
    Files({});
    Compile({rule}, root);
    EXPECT_OK(filter_->Above(files_, above_, first).status());
    return files_.asked;
  };
  EXPECT_EQ(read(": ../../.f", "srv/tree", ""), (std::vector<std::string>{".f", "srv/.f"}));
  EXPECT_EQ(read(": ../.f", "srv/tree", ""), (std::vector<std::string>{"srv/.f"}));
  EXPECT_EQ(read(": /srv/.f", "srv/a/b", ""), (std::vector<std::string>{"srv/.f", "srv/a/.f"}));
  // Nothing lies between them, or the beginning lies elsewhere.
  for (const char* rule : {": sub/.f", ": /srv/tree/.f", ": /other/.f", ": /srv/tre/.f", ": .f"})
    EXPECT_EQ(read(rule, "srv/tree", ""), std::vector<std::string>()) << rule;
  EXPECT_EQ(read(": /.f", "", ""), std::vector<std::string>());
  EXPECT_EQ(read(": /.f", "", "d"), (std::vector<std::string>{".f"}));
}

TEST_F(PathFilterTest, FilesAboveADirectoryOfTheTransferCountFromThere) {
  Files({{"srv/.f", "- /tree/one/a/x\n- /one/a/y\n"},
         {"srv/tree/one/.f", "- /a/z\n- /z\n"},
         {"srv/tree/one/a/.f", "- not asked for\n"},
         {"one/a/.f", "- /u\n"}});
  Compile({": /.f"}, "srv/tree");
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr above, filter_->Above(files_, above_, "one/a"));
  EXPECT_EQ(files_.asked, (std::vector<std::string>{".f", "srv/.f", "srv/tree/.f", "srv/tree/one/.f"}));
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr scope, filter_->Enter(above, "one/a", files_));
  const auto verdict = [&](const std::string& path) {
    return filter_->Judge(*scope, FilterSide::kSender, path, false);
  };
  for (const char* path : {"one/a/x", "one/a/z", "one/a/u"}) EXPECT_EQ(verdict(path), FilterVerdict::kExclude) << path;
  for (const char* path : {"one/a/y", "one/a/d/u"}) EXPECT_EQ(verdict(path), FilterVerdict::kNone) << path;
}

TEST_F(PathFilterTest, ARuleOfAFileIsFoundWithItsLine) {
  Files({{"srv/.f", "# comment\n\n- a\n"},
         {".f", "- top"},
         {"d/.f", "- c\n!\n- d\n"},
         {"m/.f", "- u\n\n. more\n"},
         {"m/more", "+ y\n- x\n"}});
  Compile({"- z", ": /.f", "- e"}, "srv/tree");
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr above, filter_->Above(files_, above_, ""));
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr root, filter_->Enter(above, "", files_));
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr below, filter_->Enter(root, "d", files_));
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr merging, filter_->Enter(root, "m", files_));
  const auto found = [&](const FilterScopePtr& scope, const char* path) {
    const PathFilter::Finding finding = filter_->FindRule(*scope, FilterSide::kSender, path, false);
    return finding.file + ":" + std::to_string(finding.rule) +
           (finding.verdict == FilterVerdict::kExclude ? " hides" : " does not");
  };
  EXPECT_EQ(found(root, "z"), ":0 hides");
  EXPECT_EQ(found(root, "a"), "srv/.f:3 hides");
  EXPECT_EQ(found(root, "top"), "srv/tree/.f:1 hides");
  EXPECT_EQ(found(root, "e"), ":2 hides");
  EXPECT_EQ(found(root, "q"), ":0 does not");
  EXPECT_EQ(found(below, "d/d"), "srv/tree/d/.f:3 hides");
  EXPECT_EQ(found(below, "d/c"), ":0 does not");
  EXPECT_EQ(found(merging, "m/x"), "srv/tree/m/.f:3 hides");
}

TEST_F(PathFilterTest, ARuleOfAFileIsFoundAmongOthersOfItsLine) {
  Files({{".f", "a b\nc"}, {"n/.f", std::string("a\nb\0c", 5)}});
  Compile({":-w .f"}, "");
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr words, filter_->Enter(filter_->base(), "", files_));
  const PathFilter::Finding word = filter_->FindRule(*words, FilterSide::kSender, "b", false);
  EXPECT_EQ(word.written, "b");
  EXPECT_EQ(word.rule, 1u);
  EXPECT_EQ(filter_->FindRule(*words, FilterSide::kSender, "c", false).rule, 2u);
  Compile({":- .f"}, "", /*delete_excluded=*/false, /*nul_separated=*/true);
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr records, filter_->Enter(filter_->base(), "n", files_));
  const PathFilter::Finding record = filter_->FindRule(*records, FilterSide::kSender, "n/c", false);
  EXPECT_EQ(record.written, "c");
  EXPECT_EQ(record.rule, 2u);
}

TEST_F(PathFilterTest, AnchoredRulesOfAFileAreAboutItsDirectoryWhereverTheOthersLie) {
  Files({{".f", "- /a\n- b\n"}});
  Compile({": .f"}, "srv/tree");
  const FilterScopePtr base = PathFilter::Below(filter_->base(), above_);
  ASSERT_OK_AND_ASSIGN(const FilterScopePtr root, filter_->Enter(base, "", files_));
  const auto verdict = [&](const FilterScope& scope, const std::string& path) {
    return filter_->Judge(scope, FilterSide::kSender, path, false);
  };
  EXPECT_EQ(verdict(*root, "a"), FilterVerdict::kExclude);
  // Of another source, which is merged into the same directory.
  const FilterScopePtr moved = PathFilter::Below(root, "home");
  EXPECT_EQ(verdict(*moved, "a"), FilterVerdict::kNone);
  EXPECT_EQ(verdict(*moved, "b"), FilterVerdict::kExclude);
  EXPECT_EQ(verdict(*PathFilter::Below(root, "srv"), "tree/a"), FilterVerdict::kExclude);
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
  Compile({"-/ /srv/tree/a", "-/ tree/b"}, "srv/tree");
  EXPECT_TRUE(Hidden("a"));
  EXPECT_TRUE(Hidden("b"));
  EXPECT_FALSE(Hidden("d/a"));
}

TEST_F(PathFilterTest, WhatIsWrongNamesFileAndRule) {
  Files({{"d/.f", "- a\nbad rule\n"}, {"e/.f", ". /etc/passwd\n"}, {"g/.f", ". gone\n"}, {"h/.f", "!!"}});
  Compile({": .f"});
  const auto enter = [&](const char* directory) { return filter_->Enter(filter_->base(), directory, files_).status(); };
  EXPECT_THAT(enter("d"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("d/.f: Unknown filter rule: bad rule")));
  EXPECT_THAT(enter("e"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("of its own directory only")));
  EXPECT_THAT(enter("g"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("failed to open exclude file gone")));
  EXPECT_THAT(enter("h"), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(PathFilter::Compile({". file"}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not expanded")));
  EXPECT_THAT(PathFilter::Compile({": a/.."}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("names no file")));
}

TEST_F(PathFilterTest, FilesThatMergeEachOtherEnd) {
  Files({{".f", ". .g"}, {".g", ". .f"}});
  Compile({": .f"});
  EXPECT_THAT(filter_->Enter(filter_->base(), "", files_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too deeply")));
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
