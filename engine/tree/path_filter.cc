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

std::string Joined(const std::string& directory, std::string_view path) {
  if (directory.empty()) return std::string(path);
  return path.empty() ? directory : directory + "/" + std::string(path);
}

bool Matches(const PathFilter::List& list, const PathFilter::List::Item& item, std::string_view path, bool is_directory,
             const std::shared_ptr<const std::string>& above) {
  if (item.absolute) return item.pattern->Matches(path, is_directory, *above);
  if (!item.pattern->anchored()) return item.pattern->Matches(path, is_directory);
  if (list.above != nullptr && list.above != above) {
    const std::string absolute = Joined(*above, path);
    const std::string directory = list.directory.empty() ? std::string() : list.directory + "/";
    return absolute.starts_with(directory) &&
           item.pattern->Matches(std::string_view(absolute).substr(directory.size()), is_directory);
  }
  if (list.lead.empty()) return item.pattern->Matches(path.substr(list.skip), is_directory);
  return item.pattern->Matches(list.lead + "/" + std::string(path), is_directory);
}

// `path` seen from `base` (absolute, without a leading slash), with "." and ".." resolved by name.
std::string Resolve(std::string_view base, std::string_view path) {
  std::string resolved;
  if (path.substr(0, 1) != "/") resolved = base;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      const size_t slash = resolved.rfind('/');
      resolved.erase(slash == std::string::npos ? 0 : slash);
      continue;
    }
    if (!resolved.empty()) resolved += '/';
    resolved += name;
  }
  return resolved;
}

// Whether the looking that begins at `top` comes by `directory` on its way to `first`. Anything but a directory above
// that is no place to begin: then the name counts alone.
bool ComesBy(const std::string& top, const std::string& directory, const std::string& first) {
  const std::string from = Resolve(first, top);
  const auto is_above = [&from](const std::string& path) {
    return from.empty() || path == from || path.starts_with(from + "/");
  };
  return from != first && is_above(first) && is_above(directory);
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
  Compiler compiler{filter->options_, &base->merges, nullptr, "", {}, false, 0};
  for (const std::string& rule : rules) {
    bytes += rule.size();
    if (bytes > kMaxFilterBytes)
      return MakeStatus(absl::StatusCode::kInvalidArgument, "the filter rules have more than 2 MiB");
    US_RETURN_IF_ERROR(compiler.Add(rule, {}, 0));
    ++compiler.rule;
  }
  filter->rules_ = std::make_shared<const List>(std::move(compiler.list));
  filter->absolute_ = compiler.absolute;
  for (const FilterScope::Merge& merge : base->merges) filter->looks_above_ = filter->looks_above_ || merge.looks_above;
  filter->base_ = std::move(base);
  return filter;
}

bool PathFilter::NeedsEntering(const FilterScope& parent) {
  return !parent.merges.empty();
}

FilterScopePtr PathFilter::Below(const FilterScopePtr& scope, const std::string& above) {
  if (*scope->above == above) return scope;
  auto moved = std::make_shared<FilterScope>(*scope);
  moved->above = std::make_shared<const std::string>(above);
  return moved;
}

absl::StatusOr<FilterScopePtr> PathFilter::Above(MergeFiles& files, const std::string& above,
                                                 std::string_view first) const {
  if (!looks_above_) return Below(base_, above);
  auto scope = std::make_shared<FilterScope>(*base_);
  scope->above = std::make_shared<const std::string>(above);
  const std::string full = Joined(above, first);
  // Directories from the top to the one above it; offsets are the ends of their paths.
  std::vector<size_t> ends = {0};
  for (size_t at = full.find('/'); at != std::string::npos; at = full.find('/', at + 1)) ends.push_back(at);
  if (full.empty()) ends.clear();
  for (const size_t end : ends) {
    const std::string directory = full.substr(0, end);
    for (size_t i = 0; i < scope->merges.size(); ++i) {
      if (!scope->merges[i].looks_above || !ComesBy(scope->merges[i].top, directory, full)) continue;
      US_RETURN_IF_ERROR(AddFileAbove(files, directory, i, scope.get()));
    }
  }
  return scope;
}

absl::Status PathFilter::AddFileAbove(MergeFiles& files, const std::string& directory, size_t merge,
                                      FilterScope* scope) const {
  const std::shared_ptr<const FilterRule> rule = scope->merges[merge].rule;
  US_ASSIGN_OR_RETURN(const std::optional<std::string> text, files.Read(directory, rule->text));
  std::shared_ptr<const List> inherited = rule->no_inherit ? nullptr : scope->merges[merge].list;
  if (text) {
    const std::string& above = *scope->above;
    Compiler compiler{options_, &scope->merges, &files, directory, {}, false, 0};
    compiler.list.inherited = std::move(inherited);
    compiler.list.above = scope->above;
    compiler.list.directory = directory;
    compiler.list.name = rule->text;
    if (directory.size() < above.size()) {
      compiler.list.lead = above.substr(directory.empty() ? 0 : directory.size() + 1);
    } else if (directory.size() > above.size()) {
      compiler.list.skip = directory.size() - above.size() + (above.empty() ? 1 : 0);
    }
    const absl::Status added = compiler.AddText(*text, rule->style, 0);
    if (!added.ok()) return WithContext(added, "/" + EscapeName(Joined(directory, rule->text)));
    inherited = std::make_shared<const List>(std::move(compiler.list));
  }
  scope->merges[merge].list = std::move(inherited);
  return absl::OkStatus();
}

absl::StatusOr<FilterScopePtr> PathFilter::Enter(const FilterScopePtr& parent, std::string_view directory,
                                                 MergeFiles& files) const {
  std::shared_ptr<FilterScope> scope;  // made when something changes
  for (size_t i = 0; i < (scope != nullptr ? scope->merges.size() : parent->merges.size()); ++i) {
    const FilterScope::Merge merge = scope != nullptr ? scope->merges[i] : parent->merges[i];
    US_ASSIGN_OR_RETURN(const std::optional<std::string> text, files.Read(directory, merge.rule->text));
    std::shared_ptr<const List> list = merge.rule->no_inherit ? nullptr : merge.list;
    if (!text && list == merge.list) continue;
    if (scope == nullptr) scope = std::make_shared<FilterScope>(*parent);
    if (text) {
      Compiler compiler{options_, &scope->merges, &files, std::string(directory), {}, false, 0};
      compiler.list.inherited = std::move(list);
      compiler.list.above = scope->above;
      compiler.list.directory = Joined(*scope->above, directory);
      compiler.list.name = merge.rule->text;
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

FilterVerdict PathFilter::JudgeList(const List* list, const FilterScope& scope, FilterSide side, std::string_view path,
                                    bool is_directory, bool deleting) const {
  for (; list != nullptr; list = list->inherited.get()) {
    for (const List::Item& item : list->items) {
      if (!item.pattern) {
        const FilterVerdict verdict =
            JudgeList(scope.merges[item.merge].list.get(), scope, side, path, is_directory, deleting);
        if (verdict != FilterVerdict::kNone) return verdict;
        continue;
      }
      if ((item.sides & static_cast<uint8_t>(side)) == 0 || (deleting && item.perishable)) continue;
      if (Matches(*list, item, path, is_directory, scope.above) != item.negated) return VerdictOf(item);
    }
  }
  return FilterVerdict::kNone;
}

FilterVerdict PathFilter::Judge(const FilterScope& scope, FilterSide side, std::string_view path, bool is_directory,
                                bool deleting) const {
  return JudgeList(rules_.get(), scope, side, path, is_directory, deleting);
}

bool PathFilter::FindInList(const List* list, const FilterScope& scope, FilterSide side, std::string_view path,
                            bool is_directory, Finding* finding) const {
  for (; list != nullptr; list = list->inherited.get()) {
    for (const List::Item& item : list->items) {
      if (!item.pattern) {
        finding->merge_before = true;
        if (FindInList(scope.merges[item.merge].list.get(), scope, side, path, is_directory, finding)) return true;
        continue;
      }
      if ((item.sides & static_cast<uint8_t>(side)) == 0) continue;
      if (Matches(*list, item, path, is_directory, scope.above) == item.negated) continue;
      finding->verdict = VerdictOf(item);
      finding->rule = item.rule;
      if (!list->name.empty()) finding->file = Joined(list->directory, list->name);
      finding->written = item.written;
      return true;
    }
  }
  return false;
}

PathFilter::Finding PathFilter::FindRule(const FilterScope& scope, FilterSide side, std::string_view path,
                                         bool is_directory) const {
  Finding finding;
  FindInList(rules_.get(), scope, side, path, is_directory, &finding);
  return finding;
}

bool PathFilter::SurelyHidden(std::string_view path, bool is_directory) const {
  for (const List::Item& item : rules_->items) {
    // A merge file of the source may say something else before, and the source's absolute path is another.
    if (!item.pattern) return false;
    if ((item.sides & static_cast<uint8_t>(FilterSide::kSender)) == 0) continue;
    if (item.absolute) return false;
    if (Matches(*rules_, item, path, is_directory, base_->above) != item.negated) return !item.include;
  }
  return false;
}

}  // namespace uringsync
