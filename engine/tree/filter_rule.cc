#include "engine/tree/filter_rule.h"

#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

using Kind = FilterRule::Kind;
using Prefix = FilterStyle::Prefix;

constexpr size_t kShownBytes = 200;

bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

absl::Status Bad(const std::string& what, std::string_view rule,
                 absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  std::string shown = EscapeName(rule.substr(0, kShownBytes));
  if (rule.size() > kShownBytes) shown += "...";
  return MakeStatus(code, what + ": " + shown);
}

struct LongName {
  std::string_view name;
  char letter;
};
constexpr LongName kLongNames[] = {{"clear", '!'},   {"dir-merge", ':'}, {"exclude", '-'},
                                   {"hide", 'H'},    {"include", '+'},   {"merge", '.'},
                                   {"protect", 'P'}, {"risk", 'R'},      {"show", 'S'}};
constexpr std::string_view kLetters = "!:-H+.PRS";

// The rule's letter, and in `at` the offset of its modifiers. 0: there is no such rule.
char TakeName(std::string_view text, size_t* at) {
  for (const LongName& candidate : kLongNames) {
    if (text.substr(0, candidate.name.size()) != candidate.name) continue;
    *at = candidate.name.size();
    if (*at < text.size() && text[*at] == ',') {
      ++*at;
    } else if (*at < text.size() && !IsSpace(text[*at]) && text[*at] != '_') {
      return 0;
    }
    return candidate.letter;
  }
  if (kLetters.find(text.front()) == std::string_view::npos) return 0;
  *at = text.size() > 1 && text[1] == ',' ? 2 : 1;
  return text.front();
}

bool IsMerge(const FilterRule& rule) {
  return rule.kind == Kind::kMerge || rule.kind == Kind::kDirMerge;
}

FilterSides Both(FilterSides a, FilterSides b) {
  return static_cast<FilterSides>(static_cast<uint8_t>(a) | static_cast<uint8_t>(b));
}

// Applies one modifier; false where it has no place here.
bool Modify(char modifier, bool side_named, FilterRule* rule) {
  const bool merge = IsMerge(*rule);
  switch (modifier) {
    case '/': rule->absolute = true; return true;
    case 'p': rule->perishable = true; return true;
    case 's':
    case 'r':
      if (side_named) return false;
      rule->sides = Both(rule->sides, modifier == 's' ? FilterSides::kSender : FilterSides::kReceiver);
      return true;
    case '!': rule->negated = !merge; return !merge;
    case 'C':
      if (side_named || rule->style.prefix != Prefix::kFull) return false;
      rule->style.prefix = Prefix::kNoneExclude;
      rule->style.cvs = rule->style.split_words = rule->no_inherit = true;
      return true;
    default: break;
  }
  if (!merge) return false;
  switch (modifier) {
    case '-':
    case '+':
      if (rule->style.prefix != Prefix::kFull) return false;
      rule->style.prefix = modifier == '-' ? Prefix::kNoneExclude : Prefix::kNoneInclude;
      return true;
    case 'e': rule->exclude_self = true; return true;
    case 'n': rule->no_inherit = true; return true;
    case 'w': rule->style.split_words = true; return true;
    default: return false;
  }
}

// The rule without its argument; `at` becomes the argument's offset.
absl::Status ParsePrefix(std::string_view text, FilterRule* rule, size_t* at) {
  const char letter = TakeName(text, at);
  bool side_named = true;
  switch (letter) {
    case 0: return Bad("Unknown filter rule", text);
    case '!': rule->kind = Kind::kClear; return absl::OkStatus();
    case 'H':
    case 'S': rule->sides = FilterSides::kSender; break;
    case 'P':
    case 'R': rule->sides = FilterSides::kReceiver; break;
    default: side_named = false; break;
  }
  if (letter == '+' || letter == 'S' || letter == 'R') rule->kind = Kind::kInclude;
  if (letter == '.') rule->kind = Kind::kMerge;
  if (letter == ':') rule->kind = Kind::kDirMerge;
  for (; *at < text.size() && text[*at] != ' ' && text[*at] != '_'; ++*at) {
    if (text[*at] == 'x')
      return Bad("rules for attribute names (modifier 'x') are not supported", text, absl::StatusCode::kUnimplemented);
    if (Modify(text[*at], side_named, rule)) continue;
    return Bad("invalid modifier '" + EscapeName(text.substr(*at, 1)) + "' at position " + std::to_string(*at) +
                   " in filter rule",
               text);
  }
  if (*at < text.size()) ++*at;
  return absl::OkStatus();
}

// Styles without the full syntax.
void ParseBare(std::string_view text, const FilterStyle& style, FilterRule* rule, size_t* at) {
  const bool include = style.prefix == Prefix::kNoneInclude || style.prefix == Prefix::kOldInclude;
  rule->kind = include ? Kind::kInclude : Kind::kExclude;
  const bool old = style.prefix == Prefix::kOldExclude || style.prefix == Prefix::kOldInclude;
  if (old && (text.substr(0, 2) == "- " || text.substr(0, 2) == "+ ")) {
    rule->kind = text.front() == '+' ? Kind::kInclude : Kind::kExclude;
    *at = 2;
  } else if ((old || style.cvs) && text == "!") {
    rule->kind = Kind::kClear;
    *at = 1;
  }
}

}  // namespace

absl::StatusOr<std::optional<FilterRule>> ParseFilterRule(std::string_view text, const FilterStyle& style,
                                                          bool delete_excluded) {
  if (text.empty()) return std::nullopt;
  if (text.size() > kMaxFilterRuleBytes) return Bad("a filter rule has at most 4096 bytes", text);
  if (text.find('\0') != std::string_view::npos) return Bad("a filter rule holds a NUL", text);
  FilterRule rule;
  rule.absolute = style.absolute;
  rule.perishable = style.perishable;
  size_t at = 0;
  if (style.prefix == Prefix::kFull) {
    US_RETURN_IF_ERROR(ParsePrefix(text, &rule, &at));
  } else {
    ParseBare(text, style, &rule, &at);
  }
  if (style.sides != FilterSides::kUnsaid) {
    if (rule.sides != FilterSides::kUnsaid)
      return Bad("specified-side merge file contains specified-side filter", text);
    rule.sides = style.sides;
  }
  const std::string_view argument = text.substr(at);
  if (rule.kind == Kind::kClear) {
    if (!argument.empty()) return Bad("'!' rule has trailing characters", text);
    return rule;
  }
  const bool cvs = std::exchange(rule.style.cvs, rule.style.cvs && IsMerge(rule));
  if (argument.empty() && !cvs) return Bad("unexpected end of filter rule", text);
  if (cvs && !IsMerge(rule)) {
    // What follows -C means nothing.
    rule.kind = rule.kind == Kind::kInclude ? Kind::kCvsInclude : Kind::kCvsExclude;
    rule.style = FilterStyle();
    rule.no_inherit = false;
  } else {
    rule.text = argument.empty() ? ".cvsignore" : std::string(argument);
  }
  if (IsMerge(rule)) {
    rule.style.absolute = rule.absolute;
    rule.style.perishable = rule.perishable;
    rule.style.sides = rule.sides;
  } else if (delete_excluded && rule.sides == FilterSides::kUnsaid) {
    rule.sides = FilterSides::kSender;
  }
  return rule;
}

std::string FormatFilterRule(const FilterRule& rule) {
  std::string line;
  const bool merge = IsMerge(rule);
  switch (rule.kind) {
    case Kind::kClear: return "!";
    case Kind::kExclude:
    case Kind::kCvsExclude: line = "-"; break;
    case Kind::kInclude:
    case Kind::kCvsInclude: line = "+"; break;
    case Kind::kMerge: line = "."; break;
    case Kind::kDirMerge: line = ":"; break;
  }
  if (rule.negated) line += '!';
  if (rule.absolute) line += '/';
  if (rule.perishable) line += 'p';
  if ((static_cast<uint8_t>(rule.sides) & static_cast<uint8_t>(FilterSides::kSender)) != 0) line += 's';
  if ((static_cast<uint8_t>(rule.sides) & static_cast<uint8_t>(FilterSides::kReceiver)) != 0) line += 'r';
  if (rule.kind == Kind::kCvsExclude || rule.kind == Kind::kCvsInclude) return line + 'C';
  if (merge) {
    if (rule.style.cvs) {
      line += 'C';
    } else {
      if (rule.style.prefix == Prefix::kNoneExclude) line += '-';
      if (rule.style.prefix == Prefix::kNoneInclude) line += '+';
      if (rule.style.split_words) line += 'w';
      if (rule.no_inherit) line += 'n';
    }
    if (rule.exclude_self) line += 'e';
  }
  return line + ' ' + rule.text;
}

std::vector<std::string_view> SplitFilterText(std::string_view text, const FilterStyle& style, bool nul_separated) {
  std::vector<std::string_view> rules;
  const auto ends = [&](char c) {
    if (style.split_words && IsSpace(c)) return true;
    return nul_separated ? c == '\0' : c == '\n' || c == '\r';
  };
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && !ends(text[end])) ++end;
    std::string_view rule = text.substr(at, end - at);
    rule = rule.substr(0, rule.find('\0'));
    at = end + 1;
    if (rule.empty() || (!style.split_words && (rule.front() == '#' || rule.front() == ';'))) continue;
    rules.push_back(rule);
  }
  return rules;
}

const std::vector<std::string_view>& CvsPatterns() {
  static const std::vector<std::string_view> patterns = {
      "RCS",          "SCCS",   "CVS",   "CVS.adm", "RCSLOG", "cvslog.*", "tags",  "TAGS",  ".make.state",
      ".nse_depinfo", "*~",     "#*",    ".#*",     ",*",     "_$*",      "*$",    "*.old", "*.bak",
      "*.BAK",        "*.orig", "*.rej", ".del-*",  "*.a",    "*.olb",    "*.o",   "*.obj", "*.so",
      "*.exe",        "*.Z",    "*.elc", "*.ln",    "core",   ".svn/",    ".git/", ".hg/",  ".bzr/"};
  return patterns;
}

}  // namespace uringsync
