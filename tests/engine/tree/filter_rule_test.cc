#include "engine/tree/filter_rule.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using Kind = FilterRule::Kind;
using testing::HasSubstr;

FilterRule Parse(std::string_view text, const FilterStyle& style = {}, bool delete_excluded = false) {
  absl::StatusOr<std::optional<FilterRule>> rule = ParseFilterRule(text, style, delete_excluded);
  EXPECT_OK(rule.status()) << text;
  return rule.ok() && rule->has_value() ? **rule : FilterRule();
}

void Refused(std::string_view text, const std::string& why, const FilterStyle& style = {}) {
  EXPECT_THAT(ParseFilterRule(text, style), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why))) << text;
}

FilterStyle StyleOf(FilterStyle::Prefix prefix) {
  FilterStyle style;
  style.prefix = prefix;
  return style;
}

TEST(FilterRuleTest, ShortAndLongNamesMeanTheSame) {
  const std::pair<const char*, const char*> same[] = {
      {"- a", "exclude a"}, {"+ a", "include a"},    {"H a", "hide a"},  {"S a", "show_a"},
      {"P a", "protect a"}, {"R a", "risk a"},       {". a", "merge a"}, {": a", "dir-merge a"},
      {"!", "clear"},       {"-! a", "exclude,! a"}, {"-,s a", "-s a"},  {"-_a", "- a"}};
  for (const auto& [left, right] : same) {
    EXPECT_EQ(Parse(left), Parse(right)) << left;
  }
  EXPECT_EQ(Parse("-__a").text, "_a");
  EXPECT_EQ(Parse("-  a").text, " a");
  EXPECT_EQ(Parse("- a b ").text, "a b ");
}

TEST(FilterRuleTest, ModifiersSayWhatTheyDo) {
  const FilterRule rule = Parse("-!/srp x");
  EXPECT_TRUE(rule.negated && rule.absolute && rule.perishable);
  EXPECT_EQ(rule.sides, FilterSides::kBoth);
  EXPECT_EQ(Parse("H x").sides, FilterSides::kSender);
  EXPECT_EQ(Parse("R x").sides, FilterSides::kReceiver);
  EXPECT_EQ(Parse("R x").kind, Kind::kInclude);
  const FilterRule merge = Parse(":enw-/ps f");
  EXPECT_TRUE(merge.exclude_self && merge.no_inherit && merge.style.split_words && merge.style.absolute &&
              merge.style.perishable);
  EXPECT_EQ(merge.style.prefix, FilterStyle::Prefix::kNoneExclude);
  EXPECT_EQ(merge.style.sides, FilterSides::kSender);
  const FilterRule cvs = Parse(":C");
  EXPECT_EQ(cvs.text, ".cvsignore");
  EXPECT_TRUE(cvs.no_inherit && cvs.style.cvs && cvs.style.split_words);
  EXPECT_EQ(Parse("-C").kind, Kind::kCvsExclude);
  EXPECT_EQ(Parse("-C ignored").kind, Kind::kCvsExclude);
  EXPECT_EQ(Parse("+C").kind, Kind::kCvsInclude);
}

TEST(FilterRuleTest, WhatIsWrongIsNamed) {
  Refused("x foo", "Unknown filter rule: x foo");
  Refused("excl foo", "Unknown filter rule: excl foo");
  Refused(" - foo", "Unknown filter rule");
  Refused("-foo", "invalid modifier 'f' at position 1 in filter rule: -foo");
  Refused("exclude\tfoo", "invalid modifier");
  Refused("HC", "invalid modifier 'C'");
  Refused("Hs foo", "invalid modifier 's'");
  Refused("-e foo", "invalid modifier 'e'");
  Refused(":! x", "invalid modifier '!'");
  Refused(":+C x", "invalid modifier 'C'");
  Refused("merge,+- x", "invalid modifier '-' at position 7");
  Refused("-", "unexpected end of filter rule: -");
  Refused("- ", "unexpected end of filter rule");
  Refused(":", "unexpected end of filter rule");
  Refused("! foo", "'!' rule has trailing characters: ! foo");
  Refused("clear_", "'!' rule has trailing characters");
  EXPECT_THAT(ParseFilterRule("-x user.*", {}),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("attribute names")));
  Refused("- " + std::string(5000, 'a'), "at most 4096 bytes");
  FilterStyle sender;
  sender.sides = FilterSides::kSender;
  Refused("-r foo", "specified-side merge file contains specified-side filter", sender);
  Refused("H foo", "specified-side merge file contains specified-side filter", sender);
}

TEST(FilterRuleTest, OldStylesKnowOnlyTheirTwoPrefixes) {
  const FilterStyle exclude = StyleOf(FilterStyle::Prefix::kOldExclude);
  const FilterStyle include = StyleOf(FilterStyle::Prefix::kOldInclude);
  EXPECT_EQ(Parse("foo", exclude).kind, Kind::kExclude);
  EXPECT_EQ(Parse("foo", include).kind, Kind::kInclude);
  EXPECT_EQ(Parse("- foo", include).kind, Kind::kExclude);
  EXPECT_EQ(Parse("+ foo", exclude).text, "foo");
  EXPECT_EQ(Parse("H foo", exclude).text, "H foo");
  EXPECT_EQ(Parse("!", include).kind, Kind::kClear);
  EXPECT_EQ(Parse("!foo", exclude).text, "!foo");
  Refused("- ", "unexpected end", exclude);
  EXPECT_EQ(Parse("!", StyleOf(FilterStyle::Prefix::kNoneExclude)).text, "!");
  EXPECT_FALSE(ParseFilterRule("", exclude)->has_value());
}

TEST(FilterRuleTest, DeleteExcludedMakesPlainRulesTheSendersOwn) {
  EXPECT_EQ(Parse("- a", {}, true).sides, FilterSides::kSender);
  EXPECT_EQ(Parse("-sr a", {}, true).sides, FilterSides::kBoth);
  EXPECT_EQ(Parse("P a", {}, true).sides, FilterSides::kReceiver);
  EXPECT_EQ(Parse(": a", {}, true).style.sides, FilterSides::kUnsaid);
}

TEST(FilterRuleTest, TextIsSplitAsItsStyleSays) {
  using Lines = std::vector<std::string_view>;
  EXPECT_EQ(SplitFilterText("a\n\n# c\n;c\nb c\r\nd", {}, false), (Lines{"a", "b c", "d"}));
  FilterStyle words;
  words.split_words = true;
  EXPECT_EQ(SplitFilterText("a #b\n\tc ", words, false), (Lines{"a", "#b", "c"}));
  using namespace std::string_view_literals;
  EXPECT_EQ(SplitFilterText("a\nb\0#c\0\0d"sv, {}, true), (Lines{"a\nb", "d"}));
  EXPECT_EQ(SplitFilterText("a\0b\nc"sv, {}, false), (Lines{"a", "c"}));
}

TEST(FilterRuleTest, FormattedRulesParseToThemselves) {
  const char kBytes[] = "+-.:!HSPRCsrpenw/!,_ ab*[]";
  int parsed = 0;
  for (uint32_t seed = 0; seed < 20000; ++seed) {
    std::mt19937 random(seed);
    std::string text(1, "+-.:HSPR"[random() % 8]);
    for (uint32_t n = random() % 8; n > 0; --n) text += kBytes[random() % (sizeof(kBytes) - 1)];
    text += " name";
    const absl::StatusOr<std::optional<FilterRule>> rule = ParseFilterRule(text, {});
    if (!rule.ok()) continue;
    ++parsed;
    const absl::StatusOr<std::optional<FilterRule>> again = ParseFilterRule(FormatFilterRule(**rule), {});
    ASSERT_OK(again.status()) << text;
    ASSERT_EQ(**rule, **again) << text << " became " << FormatFilterRule(**rule);
  }
  EXPECT_GT(parsed, 1000);
}

}  // namespace
}  // namespace uringsync
