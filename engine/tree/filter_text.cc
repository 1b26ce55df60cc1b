#include "engine/tree/filter_text.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/tree/path_filter.h"

namespace uringsync {
namespace {

using Kind = FilterRule::Kind;

FilterStyle StyleOf(FilterStyle::Prefix prefix) {
  FilterStyle style;
  style.prefix = prefix;
  return style;
}

}  // namespace

absl::Status FilterExpander::AddFilter(std::string_view rule) {
  return Add(rule, {}, 0, {}, &rules_);
}

absl::Status FilterExpander::AddExclude(std::string_view pattern) {
  return Add(pattern, StyleOf(FilterStyle::Prefix::kOldExclude), 0, {}, &rules_);
}

absl::Status FilterExpander::AddInclude(std::string_view pattern) {
  return Add(pattern, StyleOf(FilterStyle::Prefix::kOldInclude), 0, {}, &rules_);
}

absl::Status FilterExpander::AddExcludeFrom(const std::string& name) {
  US_ASSIGN_OR_RETURN(const std::string text, files_->Read(name));
  return AddText(text, StyleOf(FilterStyle::Prefix::kOldExclude), 0, name, &rules_);
}

absl::Status FilterExpander::AddIncludeFrom(const std::string& name) {
  US_ASSIGN_OR_RETURN(const std::string text, files_->Read(name));
  return AddText(text, StyleOf(FilterStyle::Prefix::kOldInclude), 0, name, &rules_);
}

absl::Status FilterExpander::AddPerDirectory() {
  ++per_directory_;
  if (per_directory_ == 1) return AddFilter(": /.rsync-filter");
  return per_directory_ == 2 ? AddFilter("- .rsync-filter") : absl::OkStatus();
}

absl::Status FilterExpander::AddCvs() {
  US_RETURN_IF_ERROR(AddFilter(":C"));
  return AddFilter("-C");
}

std::vector<std::string> FilterExpander::Take() {
  std::vector<std::string> rules;
  rules.reserve(rules_.size());
  for (ExpandedRule& rule : rules_) rules.push_back(std::move(rule.rule));
  rules_.clear();
  return rules;
}

absl::Status FilterExpander::AddText(std::string_view text, const FilterStyle& style, int depth, std::string_view file,
                                     std::vector<ExpandedRule>* rules) {
  const char separator = options_.nul_separated ? '\0' : '\n';
  Place place{.file = file, .line = 1};
  const char* counted = text.data();
  for (const std::string_view line : SplitFilterText(text, style, options_.nul_separated)) {
    place.line += static_cast<size_t>(std::count(counted, line.data(), separator));
    counted = line.data();
    US_RETURN_IF_ERROR(Add(line, style, depth, place, rules));
  }
  return absl::OkStatus();
}

absl::Status FilterExpander::Add(std::string_view text, const FilterStyle& style, int depth, Place place,
                                 std::vector<ExpandedRule>* rules) {
  // Sides stay unsaid here: the agents know about --delete-excluded themselves.
  US_ASSIGN_OR_RETURN(std::optional<FilterRule> rule, ParseFilterRule(text, style));
  if (!rule) return absl::OkStatus();
  switch (rule->kind) {
    case Kind::kClear: rules->clear(); return absl::OkStatus();
    case Kind::kMerge: return AddMerge(*std::move(rule), depth, place, rules);
    case Kind::kCvsExclude:
    case Kind::kCvsInclude: return AddCvsLists(*rule, rules);
    default: break;
  }
  if (rules->size() >= kMaxFilterRules)
    return MakeStatus(absl::StatusCode::kInvalidArgument, "more than 65536 filter rules");
  std::string formatted = FormatFilterRule(*rule);
  std::string written = style.prefix == FilterStyle::Prefix::kFull ? std::string(text) : formatted;
  rules->push_back({std::move(formatted), std::string(place.file), place.line, std::move(written)});
  return absl::OkStatus();
}

absl::Status FilterExpander::AddMerge(FilterRule rule, int depth, Place place, std::vector<ExpandedRule>* rules) {
  if (depth >= kMaxMergeDepth) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "merge files are nested too deeply: " + EscapeName(rule.text));
  }
  if (rule.exclude_self) {
    FilterRule self;
    self.text = rule.text.substr(rule.text.rfind('/') + 1);
    if (!self.text.empty()) {
      const std::string formatted = FormatFilterRule(self);
      rules->push_back({formatted, std::string(place.file), place.line, formatted});
    }
  }
  US_ASSIGN_OR_RETURN(const std::string text, files_->Read(rule.text));
  return AddText(text, rule.style, depth + 1, rule.text, rules);
}

// A list of its own: what clears it leaves the other rules alone.
absl::Status FilterExpander::AddCvsLists(const FilterRule& rule, std::vector<ExpandedRule>* rules) {
  FilterStyle style;
  style.prefix = rule.kind == Kind::kCvsInclude ? FilterStyle::Prefix::kNoneInclude : FilterStyle::Prefix::kNoneExclude;
  style.split_words = style.cvs = true;
  style.absolute = rule.absolute;
  style.sides = rule.sides;
  style.perishable = true;
  std::vector<ExpandedRule> list;
  for (const std::string_view pattern : CvsPatterns()) US_RETURN_IF_ERROR(Add(pattern, style, 0, {}, &list));
  style.perishable = rule.perishable;
  US_RETURN_IF_ERROR(AddText(options_.home_cvsignore, style, 0, "~/.cvsignore", &list));
  US_RETURN_IF_ERROR(AddText(options_.cvsignore, style, 0, "$CVSIGNORE", &list));
  rules->insert(rules->end(), list.begin(), list.end());
  return absl::OkStatus();
}

}  // namespace uringsync
