// FilterRule: one rule of rsync's filter syntax, parsed. docs/filters.md has the syntax.
//
// Thread rule: values and pure functions. Use:
//   US_ASSIGN_OR_RETURN(std::optional<FilterRule> rule, ParseFilterRule("-s *.o", {}));
//   std::string line = FormatFilterRule(*rule);   // parses to the same rule again
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace uringsync {

constexpr size_t kMaxFilterRuleBytes = 4096;
constexpr size_t kMaxFilterRules = 65536;  // of one list

// Which ends a rule is for. kBoth and kUnsaid differ: --delete-excluded leaves the first alone.
enum class FilterSides : uint8_t { kUnsaid = 0, kSender = 1, kReceiver = 2, kBoth = 3 };

// How the text of a merge file is read, and what its rules have from the merge rule. Also: how the argument of an
// option is.
struct FilterStyle {
  // Every line is a pattern of this kind, without a prefix.
  enum class Prefix : uint8_t {
    kFull = 0,     // the whole syntax
    kNoneExclude,  // '-'
    kNoneInclude,  // '+'
    kOldExclude,   // --exclude, --exclude-from: only "- " and "+ " are prefixes, and a lone "!" clears
    kOldInclude,   // --include, --include-from
  };
  Prefix prefix = Prefix::kFull;
  bool split_words = false;  // 'w'
  bool cvs = false;          // 'C': a lone "!" clears although there are no prefixes
  bool absolute = false;     // '/'
  bool perishable = false;   // 'p'
  FilterSides sides = FilterSides::kUnsaid;
  friend bool operator==(const FilterStyle&, const FilterStyle&) = default;
};

struct FilterRule {
  enum class Kind : uint8_t {
    kExclude = 1,
    kInclude,
    kMerge,       // read `text` here and now
    kDirMerge,    // read `text` in every directory
    kClear,       // forget the rules of this list
    kCvsExclude,  // the rules of -C stand here
    kCvsInclude,  // the same as includes
  };
  Kind kind = Kind::kExclude;
  std::string text;  // pattern, or name of the merge file
  FilterSides sides = FilterSides::kUnsaid;
  bool absolute = false;    // matched against the absolute path
  bool negated = false;     // takes effect where the pattern does not match
  bool perishable = false;  // ignored in directories that are being deleted
  // Merge rules.
  FilterStyle style;          // of the file; its sides, absolute and perishable are those of the rule
  bool no_inherit = false;    // 'n'
  bool exclude_self = false;  // 'e'
  friend bool operator==(const FilterRule&, const FilterRule&) = default;
};

// Parses one rule as it stands in a file of that style or in an option. nullopt: nothing in it (empty). InvalidArgument
// names the rule and what is wrong with it, Unimplemented one that rsync knows. `delete_excluded`: rules that say
// nothing of sides are for the sender alone.
absl::StatusOr<std::optional<FilterRule>> ParseFilterRule(std::string_view text, const FilterStyle& style,
                                                          bool delete_excluded = false);

// The rule in the full syntax, for a list that has no style of its own.
std::string FormatFilterRule(const FilterRule& rule);

// Splits the text of a merge file into rules: by lines (LF, CR) without empty ones and comments, by words, or by NULs
// where `nul_separated`. Whatever follows a NUL in a line is no part of it.
std::vector<std::string_view> SplitFilterText(std::string_view text, const FilterStyle& style, bool nul_separated);

// The patterns that -C excludes everywhere.
const std::vector<std::string_view>& CvsPatterns();

}  // namespace uringsync
