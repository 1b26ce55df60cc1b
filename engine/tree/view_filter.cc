#include "engine/tree/view_filter.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// The order in which rsync comes by directories: a name ends like one with a slash behind it.
std::string OrderOf(const RelPath& path) {
  return path.is_root() ? std::string() : path.text() + "/";
}

// Without its last `components`.
std::string Above(std::string path, size_t components) {
  for (; components > 0 && !path.empty(); --components) {
    const size_t slash = path.rfind('/');
    path.erase(slash == std::string::npos ? 0 : slash);
  }
  return path;
}

std::string Joined(const std::string& directory, const std::string& name) {
  if (directory.empty() || name.empty()) return directory + name;
  return directory + "/" + name;
}

}  // namespace

bool ViewFilter::Counts(const Member& member) {
  if (member.depth != ViewDepth::kObject) return true;
  if (view_->mirror()) return !member.at.is_root() || !member.implied;
  if (!recursive_) {
    const std::vector<Member>& members = view_->members();
    recursive_ = std::any_of(members.begin(), members.end(),
                             [](const Member& other) { return other.depth == ViewDepth::kTree; });
  }
  return member.implied && *recursive_;
}

absl::StatusOr<ViewFilter::Bringer> ViewFilter::BringerOf(Driver* driver, const RelPath& path) {
  if (last_ && last_->path == path) return *last_;
  Bringer bringer{.path = path};
  for (const TreeView::Place& place : view_->PlacesOf(path)) {
    const Member& member = view_->members()[place.member];
    if (!Counts(member)) continue;
    absl::StatusOr<DirectoryPtr> opened = view_->OpenPlace(driver, place, DirectoryAccess::kPath);
    if (!opened.ok()) {
      if (IsOutOfDescriptors(StatusErrno(opened.status()))) return opened.status();
      continue;
    }
    bringer.member = &member;
    bringer.directory = *std::move(opened);
    break;
  }
  last_ = bringer;
  return bringer;
}

absl::StatusOr<std::string> ViewFilter::AboveOf(Driver* driver, const Member& member) {
  const size_t number = static_cast<size_t>(&member - view_->members().data());
  std::string path;
  if (filter_->top.directory != nullptr) {
    path = Joined(filter_->top.path, view_->NameOf(number) == "." ? "" : view_->NameOf(number));
  } else {
    auto known = bases_.find(member.base);
    if (known == bases_.end()) {
      US_ASSIGN_OR_RETURN(const DirectoryPtr base, view_->OpenBase(driver, member.base));
      US_ASSIGN_OR_RETURN(std::string absolute, AbsolutePath(driver, *base));
      known = bases_.emplace(member.base, std::move(absolute)).first;
    }
    path = Joined(known->second, member.name);
  }
  return Above(std::move(path), member.at.depth());
}

void ViewFilter::FindFirst(Driver* driver) {
  if (std::exchange(looked_for_first_, true)) return;
  const std::vector<Member>& members = view_->members();
  std::string order;
  for (size_t i = 0; i < members.size(); ++i) {
    if (!Counts(members[i])) continue;
    std::string its_order = OrderOf(members[i].at);
    if (first_ != nullptr && its_order >= order) continue;
    if (!view_->OpenPlace(driver, {i, RelPath()}, DirectoryAccess::kPath).ok()) continue;
    first_ = &members[i];
    order = std::move(its_order);
  }
}

absl::StatusOr<FilterScopePtr> ViewFilter::Reach(Driver* driver, const RelPath& path, const FilterScopePtr& scope) {
  const PathFilter& rules = *filter_->rules;
  if (!rules.knows_places()) return scope;
  if (rules.looks_above()) FindFirst(driver);
  if (rules.looks_above() && first_ != nullptr && first_->at == path) {
    US_ASSIGN_OR_RETURN(const std::string above, AboveOf(driver, *first_));
    FilesAbove files(driver, filter_->top.directory);
    return rules.Above(files, above, path.text());
  }
  US_ASSIGN_OR_RETURN(const Bringer bringer, BringerOf(driver, path));
  if (bringer.member == nullptr || bringer.member->at != path) return scope;
  US_ASSIGN_OR_RETURN(const std::string above, AboveOf(driver, *bringer.member));
  return PathFilter::Below(scope, above);
}

absl::StatusOr<DirectoryFilter> ViewFilter::Enter(Driver* driver, const RelPath& path, const FilterScopePtr& reached) {
  if (PathFilter::NeedsEntering(*reached)) {
    US_ASSIGN_OR_RETURN(const Bringer bringer, BringerOf(driver, path));
    if (bringer.directory != nullptr)
      return DirectoryFilter::Enter(driver, *filter_, reached, path.text(), *bringer.directory);
  }
  return DirectoryFilter::Inherit(*filter_, reached, path.text());
}

bool ViewFilter::LeavesOut(Driver* driver, const RelPath& path, DirectoryFilter* entered, std::string_view name,
                           bool is_directory) {
  const RelPath child = path.Child(name);
  const std::vector<Member>& members = view_->members();
  const Member* member = view_->FirstWithin(child);
  if (member == nullptr) return entered->LeavesOut(name, is_directory);
  const Member* const end = members.data() + members.size();
  const Member* named = nullptr;
  for (; member != end && member->at == child; ++member) {
    if (!member->implied && (named == nullptr || member->order < named->order)) named = member;
  }
  // What leads to a member was asked for with it.
  if (named == nullptr || (member != end && member->at.IsWithin(child))) return false;
  if (view_->mirror()) return entered->LeavesOut(name, is_directory);
  // The run's own rules let it through (DropExcluded).
  if (!PathFilter::NeedsEntering(*entered->scope())) return false;
  const absl::StatusOr<Bringer> bringer = BringerOf(driver, path);
  if (!bringer.ok() || bringer->member == nullptr || bringer->member->order > named->order) return false;
  return entered->LeavesOut(name, is_directory);
}

bool ViewFilter::Excludes(Driver* driver, size_t number) {
  const Member& member = view_->members()[number];
  if (member.at.is_root() || member.implied) return false;
  const PathFilter& rules = *filter_->rules;
  FilterScopePtr scope = rules.base();
  if (rules.knows_places()) {
    const absl::StatusOr<std::string> above = AboveOf(driver, member);
    if (above.ok()) scope = PathFilter::Below(scope, *above);
  }
  // Under another name it is judged by its own.
  const RelPath path = member.name.empty() ? member.at : member.at.Parent().Child(member.name);
  const auto judge = [&](bool is_directory) {
    return rules.Judge(*scope, FilterSide::kSender, path.text(), is_directory) == FilterVerdict::kExclude;
  };
  const bool as_file = judge(false);
  if (as_file == judge(true)) return as_file;
  std::string name;
  const absl::StatusOr<DirectoryPtr> parent = view_->OpenParent(driver, {number, RelPath()}, &name);
  if (!parent.ok()) return false;
  struct statx found{};
  const int flags = view_->follow().any() ? 0 : AT_SYMLINK_NOFOLLOW;
  if (sys::Statx(driver, (*parent)->fd(), name.c_str(), flags, STATX_TYPE, &found) < 0) return false;
  return judge(S_ISDIR(found.stx_mode));
}

void DropExcluded(Driver* driver, const ScanFilter& filter, const std::shared_ptr<TreeView>& view) {
  ViewFilter rules(view, &filter);
  std::vector<bool> dropped(view->members().size());
  for (size_t i = 0; i < dropped.size(); ++i) dropped[i] = rules.Excludes(driver, i);
  view->Drop(dropped);
}

}  // namespace uringsync
