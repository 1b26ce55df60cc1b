#include "engine/tree/path_filter.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/tree/path_filter_impl.h"

namespace uringsync {
namespace {

FilterVerdict VerdictOf(const PathFilter::List::Item& item) {
  return item.include ? FilterVerdict::kInclude : FilterVerdict::kExclude;
}

bool Matches(const PathFilter::List& list, const PathFilter::List::Item& item, std::string_view path, bool is_directory,
             std::string_view above) {
  if (item.absolute) return item.pattern->Matches(path, is_directory, above);
  if (!item.pattern->anchored()) return item.pattern->Matches(path, is_directory);
  if (list.lead.empty()) return item.pattern->Matches(path.substr(list.skip), is_directory);
  return item.pattern->Matches(list.lead + "/" + std::string(path), is_directory);
}

}  // namespace

PathFilter::List::~List() {
  std::shared_ptr<const List> up = std::move(inherited);
  // While this is the last reference, take the list's own link before it dies.
  while (up != nullptr && up.use_count() == 1) {
    std::shared_ptr<const List> next = std::move(const_cast<List*>(up.get())->inherited);
    up = std::move(next);
  }
}

absl::StatusOr<PathFilterPtr> PathFilter::Compile(const std::vector<std::string>& rules, PathFilterOptions options) {
  size_t bytes = 0;
  std::shared_ptr<PathFilter> filter(new PathFilter(std::move(options)));
  auto base = std::make_shared<FilterScope>();
  Compiler compiler{filter->options_, &base->merges, nullptr, "", {}, 0};
  for (const std::string& rule : rules) {
    bytes += rule.size();
    if (bytes > kMaxFilterBytes) return MakeStatus(absl::StatusCode::kInvalidArgument, "the filter rules have more than 2 MiB");
    US_RETURN_IF_ERROR(compiler.Add(rule, {}, 0));
    ++compiler.rule;
  }
  filter->rules_ = std::make_shared<const List>(std::move(compiler.list));
  for (const FilterScope::Merge& merge : base->merges) filter->looks_above_ = filter->looks_above_ || merge.looks_above;
  filter->base_ = std::move(base);
  return filter;
}

bool PathFilter::NeedsEntering(const FilterScope& parent) { return !parent.merges.empty(); }

absl::StatusOr<FilterScopePtr> PathFilter::Above(MergeFiles& files) const {
  if (!looks_above_) return base_;
  auto scope = std::make_shared<FilterScope>(*base_);
  const std::string& above = options_.above;
  // Directories from the top to the root's parent; offsets are the ends of their paths.
  std::vector<size_t> ends = {0};
  for (size_t at = above.find('/'); at != std::string::npos; at = above.find('/', at + 1)) ends.push_back(at);
  for (const size_t end : ends) {
    const std::string directory = above.substr(0, end);
    const std::string lead = above.substr(end == 0 ? 0 : end + 1);
    for (size_t i = 0; i < scope->merges.size(); ++i) {
      if (!scope->merges[i].looks_above || scope->merges[i].top.size() > end) continue;
      const std::shared_ptr<const FilterRule> rule = scope->merges[i].rule;
      US_ASSIGN_OR_RETURN(const std::optional<std::string> text, files.Read(directory, rule->text));
      std::shared_ptr<const List> inherited = rule->no_inherit ? nullptr : scope->merges[i].list;
      if (text) {
        Compiler compiler{options_, &scope->merges, &files, directory, {}, 0};
        compiler.list.inherited = std::move(inherited);
        compiler.list.lead = lead;
        const absl::Status added = compiler.AddText(*text, rule->style, 0);
        if (!added.ok()) return WithContext(added, "/" + EscapeName(directory + (end == 0 ? "" : "/") + rule->text));
        inherited = std::make_shared<const List>(std::move(compiler.list));
      }
      scope->merges[i].list = std::move(inherited);
    }
  }
  return scope;
}

absl::StatusOr<FilterScopePtr> PathFilter::Enter(const FilterScopePtr& parent, std::string_view directory, MergeFiles& files) const {
  std::shared_ptr<FilterScope> scope;  // made when something changes
  for (size_t i = 0; i < (scope != nullptr ? scope->merges.size() : parent->merges.size()); ++i) {
    const FilterScope::Merge merge = scope != nullptr ? scope->merges[i] : parent->merges[i];
    US_ASSIGN_OR_RETURN(const std::optional<std::string> text, files.Read(directory, merge.rule->text));
    std::shared_ptr<const List> list = merge.rule->no_inherit ? nullptr : merge.list;
    if (!text && list == merge.list) continue;
    if (scope == nullptr) scope = std::make_shared<FilterScope>(*parent);
    if (text) {
      Compiler compiler{options_, &scope->merges, &files, std::string(directory), {}, 0};
      compiler.list.inherited = std::move(list);
      compiler.list.skip = directory.empty() ? 0 : directory.size() + 1;
      const absl::Status added = compiler.AddText(*text, merge.rule->style, 0);
      if (!added.ok()) {
        const std::string file = std::string(directory) + (directory.empty() ? "" : "/") + merge.rule->text;
        return WithContext(added, EscapeName(file));
      }
      list = std::make_shared<const List>(std::move(compiler.list));
    }
    scope->merges[i].list = std::move(list);
  }
  if (scope == nullptr) return parent;
  return scope;
}

FilterVerdict PathFilter::JudgeList(const List* list, const FilterScope& scope, FilterSide side, std::string_view path, bool is_directory,
                                    bool deleting) const {
  for (; list != nullptr; list = list->inherited.get()) {
    for (const List::Item& item : list->items) {
      if (!item.pattern) {
        const FilterVerdict verdict = JudgeList(scope.merges[item.merge].list.get(), scope, side, path, is_directory, deleting);
        if (verdict != FilterVerdict::kNone) return verdict;
        continue;
      }
      if ((item.sides & static_cast<uint8_t>(side)) == 0 || (deleting && item.perishable)) continue;
      if (Matches(*list, item, path, is_directory, options_.above) != item.negated) return VerdictOf(item);
    }
  }
  return FilterVerdict::kNone;
}

FilterVerdict PathFilter::Judge(const FilterScope& scope, FilterSide side, std::string_view path, bool is_directory, bool deleting) const {
  return JudgeList(rules_.get(), scope, side, path, is_directory, deleting);
}

PathFilter::Finding PathFilter::FindRule(FilterSide side, std::string_view path, bool is_directory) const {
  Finding finding;
  for (const List::Item& item : rules_->items) {
    if (!item.pattern) {
      finding.merge_before = true;
      continue;
    }
    if ((item.sides & static_cast<uint8_t>(side)) == 0) continue;
    if (Matches(*rules_, item, path, is_directory, options_.above) == item.negated) continue;
    finding.verdict = VerdictOf(item);
    finding.rule = item.rule;
    break;
  }
  return finding;
}

bool PathFilter::SurelyHidden(std::string_view path, bool is_directory) const {
  for (const List::Item& item : rules_->items) {
    // A merge file of the source may say something else before, and the source's absolute path is another.
    if (!item.pattern) return false;
    if ((item.sides & static_cast<uint8_t>(FilterSide::kSender)) == 0) continue;
    if (item.absolute) return false;
    if (Matches(*rules_, item, path, is_directory, "") != item.negated) return !item.include;
  }
  return false;
}

}  // namespace uringsync
