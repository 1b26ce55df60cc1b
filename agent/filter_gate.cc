#include "agent/filter_gate.h"

#include <utility>
#include <vector>

#include "engine/base/errno_status.h"

namespace uringsync {

bool FilterGate::IsNamed(const RelPath& path) const {
  return view_ != nullptr && view_->FirstWithin(path) != nullptr;
}

absl::StatusOr<FilterGate::Rules> FilterGate::Enter(Driver* driver, const RelPath& directory, const Rules& above, const OpenTreeDirectory& open) {
  const bool hidden = !directory.is_root() &&
                      (!above || (!IsNamed(directory) && DirectoryFilter(*above).LeavesOut(directory.name(), /*is_directory=*/true)));
  if (hidden) return Rules();
  const FilterScopePtr& scope = directory.is_root() ? filter_->scope : above->scope();
  if (!PathFilter::NeedsEntering(*scope)) return Rules(DirectoryFilter::Inherit(*filter_, scope, directory.text()));
  US_ASSIGN_OR_RETURN(const DirectoryPtr opened, open(directory));
  US_ASSIGN_OR_RETURN(DirectoryFilter entered, DirectoryFilter::Enter(driver, *filter_, scope, directory.text(), *opened));
  return Rules(std::move(entered));
}

absl::StatusOr<FilterGate::Rules> FilterGate::In(Driver* driver, const RelPath& directory, const OpenTreeDirectory& open) {
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

absl::StatusOr<bool> FilterGate::Hides(Driver* driver, const RelPath& path, bool is_directory, const OpenTreeDirectory& open) {
  if (path.is_root() || IsNamed(path)) return false;
  US_ASSIGN_OR_RETURN(Rules rules, In(driver, path.Parent(), open));
  return !rules || rules->LeavesOut(path.name(), is_directory);
}

}  // namespace uringsync
