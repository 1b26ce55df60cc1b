#include "engine/tree/filter_text.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using Rules = std::vector<std::string>;

class FakeFiles final : public FilterFiles {
 public:
  absl::StatusOr<std::string> Read(const std::string& name) override {
    const auto found = files.find(name);
    if (found == files.end()) return absl::NotFoundError("failed to open exclude file " + name);
    return found->second;
  }
  std::map<std::string, std::string> files;
};

TEST(FilterTextTest, OptionsBecomeRulesInTheirOrder) {
  FakeFiles files;
  files.files["ex"] = "a\n# c\n+ b\n- c\nH d\n";
  files.files["in"] = "e\n- f\n";
  FilterExpander expander(&files, {});
  EXPECT_OK(expander.AddExclude("*.o"));
  EXPECT_OK(expander.AddInclude("x y"));
  EXPECT_OK(expander.AddExcludeFrom("ex"));
  EXPECT_OK(expander.AddIncludeFrom("in"));
  EXPECT_OK(expander.AddFilter("exclude,! z"));
  for (int i = 0; i < 3; ++i) EXPECT_OK(expander.AddPerDirectory());
  EXPECT_EQ(expander.Take(), (Rules{"- *.o", "+ x y", "- a", "+ b", "- c", "- H d", "+ e", "- f", "-! z",
                                    ": /.rsync-filter", "- .rsync-filter"}));
}

TEST(FilterTextTest, RulesKnowTheFileAndTheLineWhereTheyStand) {
  FakeFiles files;
  files.files["ex"] = "a\n\n# c\nb\n";
  files.files["m"] = "- x\n\n- y";
  FilterExpander expander(&files, {});
  EXPECT_OK(expander.AddExclude("first"));
  EXPECT_OK(expander.AddExcludeFrom("ex"));
  EXPECT_OK(expander.AddFilter(". m"));
  std::vector<std::string> told;
  for (const ExpandedRule& rule : expander.TakeWithPlaces())
    told.push_back(rule.rule + " " + rule.file + ":" + std::to_string(rule.line));
  EXPECT_EQ(told, (Rules{"- first :0", "- a ex:1", "- b ex:4", "- x m:1", "- y m:3"}));
}

TEST(FilterTextTest, MergeFilesAreReadAndTheirModifiersKept) {
  FakeFiles files;
  files.files["m"] = "- a\n. n\n: .dir\n";
  files.files["n"] = "+ b\n";
  files.files["w"] = "p q";
  FilterExpander expander(&files, {});
  EXPECT_OK(expander.AddFilter(".s/p m"));
  EXPECT_OK(expander.AddFilter("merge,ew- w"));
  EXPECT_EQ(expander.Take(), (Rules{"-/ps a", "+/ps b", ":/ps .dir", "- w", "- p", "- q"}));
}

TEST(FilterTextTest, ClearingForgetsWhatCameBefore) {
  FakeFiles files;
  files.files["m"] = "- b\n!\n- c\n";
  FilterExpander expander(&files, {});
  EXPECT_OK(expander.AddFilter(": .f"));
  EXPECT_OK(expander.AddFilter(". m"));
  EXPECT_OK(expander.AddExclude("d"));
  EXPECT_EQ(expander.Take(), (Rules{"- c", "- d"}));
  EXPECT_OK(expander.AddExclude("!"));
  EXPECT_TRUE(expander.Take().empty());
}

TEST(FilterTextTest, NulSeparatedFilesHoldNewlines) {
  FakeFiles files;
  files.files["m"] = std::string("a\nb\0#c\0d\0", 9);
  FilterExpanderOptions options;
  options.nul_separated = true;
  FilterExpander expander(&files, options);
  EXPECT_OK(expander.AddExcludeFrom("m"));
  EXPECT_EQ(expander.Take(), (Rules{"- a\nb", "- d"}));
}

TEST(FilterTextTest, CvsListsAreTheDefaultsTheHomeFileAndTheVariable) {
  FakeFiles files;
  FilterExpanderOptions options;
  options.home_cvsignore = "mine *.tmp\n";
  options.cvsignore = "theirs";
  FilterExpander expander(&files, options);
  EXPECT_OK(expander.AddExclude("first"));
  EXPECT_OK(expander.AddCvs());
  const Rules rules = expander.Take();
  ASSERT_EQ(rules.size(), 2 + CvsPatterns().size() + 3);
  EXPECT_EQ(rules[0], "- first");
  EXPECT_EQ(rules[1], ":C .cvsignore");
  EXPECT_EQ(rules[2], "-p RCS");
  EXPECT_EQ(rules[rules.size() - 4], "-p .bzr/");
  EXPECT_EQ(rules[rules.size() - 3], "- mine");
  EXPECT_EQ(rules.back(), "- theirs");
}

TEST(FilterTextTest, AClearingHomeFileClearsTheCvsListAlone) {
  FakeFiles files;
  FilterExpanderOptions options;
  options.home_cvsignore = "a ! b";
  FilterExpander expander(&files, options);
  EXPECT_OK(expander.AddExclude("first"));
  EXPECT_OK(expander.AddFilter("-sC"));
  EXPECT_EQ(expander.Take(), (Rules{"- first", "-s b"}));
}

TEST(FilterTextTest, FaultsAreTheRulesOrTheReaders) {
  FakeFiles files;
  files.files["loop"] = ". loop";
  FilterExpander expander(&files, {});
  EXPECT_THAT(expander.AddFilter("nonsense"),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("Unknown filter rule")));
  EXPECT_THAT(expander.AddFilter(". gone"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(expander.AddExcludeFrom("gone"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(expander.AddFilter(". loop"),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("too deeply")));
}

}  // namespace
}  // namespace uringsync
