// ViewFilter: which filter rules count where in a TreeView.
//
// In a view no directory of the host need lie at a path. Merge files are read, as rsync reads them, in these:
// - A directory whose entries are in the view: of several at one path, those of the first.
// - A directory that only leads to members and was given its attributes (-R), where the source is recursive. At a
//   destination all that lead to members, but not the top, unless it was named itself.
// Files above the transfer ("dir-merge /.rsync-filter") belong to the first of these directories alone, the first in
// rsync's order of names. A member itself is judged by the run's own rules, and by merge files only where it is reached
// through one of these directories: a name that was given counts for more than a file beside it.
//
// Thread rule: one shard.
// Use:  ViewFilter rules(view, &scan_filter);
//       US_ASSIGN_OR_RETURN(FilterScopePtr scope, rules.Reach(driver, path, scope_of_the_directory_above));
//       US_ASSIGN_OR_RETURN(DirectoryFilter entered, rules.Enter(driver, path, scope));
//       if (rules.LeavesOut(driver, path, &entered, name, is_directory)) ...
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/fs/tree_view.h"
#include "engine/tree/files_above.h"
#include "engine/tree/scan_filter.h"

namespace uringsync {

class ViewFilter {
 public:
  // `filter` has rules and outlives this object.
  ViewFilter(std::shared_ptr<const TreeView> view, const ScanFilter* filter)
      : view_(std::move(view)), filter_(filter) {}

  // The scope with which the directory at `path` is entered, where that of the directory above is `scope` (at the top:
  // the session's). Errors are those of merge files above the transfer.
  absl::StatusOr<FilterScopePtr> Reach(Driver* driver, const RelPath& path, const FilterScopePtr& scope);
  // Enters it with what Reach said: reads the merge files of the directory that counts there. Errors as
  // DirectoryFilter::Enter.
  absl::StatusOr<DirectoryFilter> Enter(Driver* driver, const RelPath& path, const FilterScopePtr& reached);
  // Whether the entry `name` of the directory at `path` is left out; `entered` is that directory's.
  bool LeavesOut(Driver* driver, const RelPath& path, DirectoryFilter* entered, std::string_view name,
                 bool is_directory);
  // Whether the run's own rules leave out a source's member, by its place in the view's list.
  bool Excludes(Driver* driver, size_t member);

 private:
  using Member = TreeView::Member;
  // Whose merge files count at a path.
  struct Bringer {
    RelPath path;
    const Member* member = nullptr;  // at the path or above it; null: none
    DirectoryPtr directory;
  };
  absl::StatusOr<Bringer> BringerOf(Driver* driver, const RelPath& path);
  // Merge files of the member's directory count where it is.
  bool Counts(const Member& member);
  // Where the root of the transfer lies as the member sees it, as PathFilter::Above has it.
  absl::StatusOr<std::string> AboveOf(Driver* driver, const Member& member);
  void FindFirst(Driver* driver);

  const std::shared_ptr<const TreeView> view_;
  const ScanFilter* const filter_;
  std::optional<bool> recursive_;
  bool looked_for_first_ = false;
  const Member* first_ = nullptr;
  std::optional<Bringer> last_;            // that was asked for
  std::map<uint32_t, std::string> bases_;  // their absolute paths
};

// A source's members that the run's own rules leave out, with what only leads to them: they are not in the transfer at
// all. To be called before anybody else has `view`; `filter` has rules.
void DropExcluded(Driver* driver, const ScanFilter& filter, const std::shared_ptr<TreeView>& view);

}  // namespace uringsync
