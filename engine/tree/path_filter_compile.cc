// How rules become a list: the run's own and those of merge files.
#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/rel_path.h"
#include "engine/tree/path_filter_impl.h"

namespace uringsync {
namespace {

using Kind = FilterRule::Kind;

absl::Status Bad(const std::string& what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, what);
}

}  // namespace

absl::Status PathFilter::Compiler::AddText(std::string_view text, const FilterStyle& style, int depth) {
  if (text.size() > kMaxMergeFileBytes) return Bad("a merge file has at most 1 MiB");
  // What a file merges stands where that is asked for.
  const bool counts = depth == 0;
  const char* counted = text.data();
  if (counts) rule = 1;
  for (const std::string_view line : SplitFilterText(text, style, options.nul_separated)) {
    if (counts) rule += static_cast<size_t>(std::count(counted, line.data(), options.nul_separated ? '\0' : '\n'));
    counted = line.data();
    if (counts) written = line;
    US_RETURN_IF_ERROR(Add(line, style, depth));
  }
  return absl::OkStatus();
}

absl::Status PathFilter::Compiler::Add(std::string_view line, const FilterStyle& style, int depth) {
  absl::StatusOr<std::optional<FilterRule>> parsed = ParseFilterRule(line, style, options.delete_excluded);
  // Here it is too late for rsync to do it: as wrong as any other.
  if (absl::IsUnimplemented(parsed.status())) {
    return Bad(std::string(ToStd(parsed.status().message())));
  }
  US_ASSIGN_OR_RETURN(std::optional<FilterRule> rule, std::move(parsed));
  if (!rule) return absl::OkStatus();
  switch (rule->kind) {
    case Kind::kExclude:
    case Kind::kInclude: return AddPattern(*rule, rule->text);
    case Kind::kMerge:
    case Kind::kDirMerge: return AddMerge(*std::move(rule), depth);
    case Kind::kClear:
      list.items.clear();
      list.inherited = nullptr;
      if (files == nullptr) merges->clear();
      return absl::OkStatus();
    case Kind::kCvsExclude:
    case Kind::kCvsInclude:
      rule->perishable = true;
      for (const std::string_view pattern : CvsPatterns()) US_RETURN_IF_ERROR(AddPattern(*rule, pattern));
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status PathFilter::Compiler::AddItem(List::Item item) {
  if (list.items.size() >= kMaxFilterRules) return Bad("more than 65536 filter rules");
  item.rule = rule;
  item.written = written;
  list.items.push_back(std::move(item));
  return absl::OkStatus();
}

absl::Status PathFilter::Compiler::AddPattern(const FilterRule& rule, std::string_view pattern) {
  List::Item item;
  item.pattern.emplace(pattern);
  if (rule.sides != FilterSides::kUnsaid) item.sides = static_cast<uint8_t>(rule.sides);
  item.include = rule.kind == Kind::kInclude || rule.kind == Kind::kCvsInclude;
  item.absolute = rule.absolute;
  absolute = absolute || rule.absolute;
  item.negated = rule.negated;
  item.perishable = rule.perishable;
  return AddItem(std::move(item));
}

absl::Status PathFilter::Compiler::AddMerge(FilterRule rule, int depth) {
  const size_t slash = rule.text.rfind('/');
  const std::string name = slash == std::string::npos ? rule.text : rule.text.substr(slash + 1);
  if (!ValidateName(name).ok()) return Bad("a merge rule names no file: " + EscapeName(FormatFilterRule(rule)));
  if (rule.exclude_self) {
    FilterRule self;
    self.text = name;
    if (options.delete_excluded) self.sides = FilterSides::kSender;
    US_RETURN_IF_ERROR(AddPattern(self, name));
  }
  if (rule.kind == Kind::kDirMerge) return AddDirMerge(std::move(rule));
  if (files == nullptr) return Bad("a merge rule that was not expanded: " + EscapeName(FormatFilterRule(rule)));
  if (slash != std::string::npos) {
    return Bad("a file that belongs to a tree may merge files of its own directory only: " +
               EscapeName(FormatFilterRule(rule)));
  }
  if (depth >= kMaxMergeDepth) return Bad("merge files are nested too deeply: " + EscapeName(FormatFilterRule(rule)));
  US_ASSIGN_OR_RETURN(const std::optional<std::string> text, files->Read(directory, name));
  if (!text) return MakeStatus(absl::StatusCode::kInvalidArgument, "failed to open exclude file " + EscapeName(name));
  return AddText(*text, rule.style, depth + 1);
}

absl::Status PathFilter::Compiler::AddDirMerge(FilterRule rule) {
  FilterScope::Merge merge;
  const size_t slash = rule.text.rfind('/');
  if (slash != std::string::npos) {
    if (files != nullptr) {
      return Bad("a file that belongs to a tree may name per-directory files without a path only: " +
                 EscapeName(FormatFilterRule(rule)));
    }
    merge.top = rule.text.substr(0, std::max<size_t>(slash, 1));
    merge.looks_above = true;
    rule.text.erase(0, slash + 1);
  }
  // A name has one place, the first.
  for (const FilterScope::Merge& known : *merges) {
    if (known.rule->text == rule.text) return absl::OkStatus();
  }
  if (merges->size() >= kMaxMergeNames) return Bad("more than 64 dir-merge rules");
  List::Item item;
  item.merge = merges->size();
  merge.rule = std::make_shared<const FilterRule>(std::move(rule));
  merges->push_back(std::move(merge));
  return AddItem(std::move(item));
}

}  // namespace uringsync
