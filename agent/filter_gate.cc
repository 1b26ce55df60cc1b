#include "agent/filter_gate.h"

#include <utility>
#include <vector>

#include "engine/base/errno_status.h"

namespace uringsync {

bool FilterGate::LeavesOut(Driver* driver, const RelPath& directory, DirectoryFilter* rules, std::string_view name,
                           bool is_directory) {
  return view_ ? view_->LeavesOut(driver, directory, rules, name, is_directory) : rules->LeavesOut(name, is_directory);
}

absl::StatusOr<FilterGate::Rules> FilterGate::Enter(Driver* driver, const RelPath& directory, const Rules& above,
                                                    const OpenTreeDirectory& open) {
  if (!directory.is_root()) {
    if (!above) return Rules();
    DirectoryFilter rules = *above;
    if (LeavesOut(driver, directory.Parent(), &rules, directory.name(), /*is_directory=*/true)) return Rules();
  }
  FilterScopePtr scope = directory.is_root() ? filter_->scope : above->scope();
  if (view_) {
    US_ASSIGN_OR_RETURN(scope, view_->Reach(driver, directory, scope));
    US_ASSIGN_OR_RETURN(DirectoryFilter entered, view_->Enter(driver, directory, scope));
    return Rules(std::move(entered));
  }
  if (!PathFilter::NeedsEntering(*scope)) return Rules(DirectoryFilter::Inherit(*filter_, scope, directory.text()));
  US_ASSIGN_OR_RETURN(const DirectoryPtr opened, open(directory));
  US_ASSIGN_OR_RETURN(DirectoryFilter entered,
                      DirectoryFilter::Enter(driver, *filter_, scope, directory.text(), *opened));
  return Rules(std::move(entered));
}

absl::StatusOr<FilterGate::Rules> FilterGate::In(Driver* driver, const RelPath& directory,
                                                 const OpenTreeDirectory& open) {
  // Up to a directory that is known, and down again.
  std::vector<RelPath> unknown;
  Rules rules;
  for (RelPath path = directory;; path = path.Parent()) {
    if (const auto known = directories_.find(path.text()); known != directories_.end()) {
      rules = known->second;
      break;
    }
    unknown.push_back(path);
    if (path.is_root()) break;
  }
  for (; !unknown.empty(); unknown.pop_back()) {
    US_ASSIGN_OR_RETURN(rules, Enter(driver, unknown.back(), rules, open));
    if (!rules) return rules;
    if (directories_.size() >= kMaxDirectories) directories_.clear();
    directories_.emplace(unknown.back().text(), rules);
  }
  return rules;
}

absl::StatusOr<bool> FilterGate::Hides(Driver* driver, const RelPath& path, bool is_directory,
                                       const OpenTreeDirectory& open) {
  if (path.is_root()) return false;
  US_ASSIGN_OR_RETURN(Rules rules, In(driver, path.Parent(), open));
  return !rules || LeavesOut(driver, path.Parent(), &*rules, path.name(), is_directory);
}

}  // namespace uringsync
