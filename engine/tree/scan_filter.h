// ScanFilter: filter rules at work in a scan; DirectoryFilter: what they make of one directory.
//
// At a source (sender) what the rules hide is never told and never entered. At a destination (receiver) an object that
// the rules of both sides exclude is not told either, and its directory says that it holds such; one that only this
// side's rules keep is told with its Protection. Merge files are read from the directory itself, following no link.
//
// Thread rule: ScanFilter is a value; a DirectoryFilter belongs to the scan of its directory.
// Use:  US_ASSIGN_OR_RETURN(DirectoryFilter filter, DirectoryFilter::Enter(driver, scan_filter, parent_scope, "a/b",
// directory));
//       if (filter.LeavesOut(name, is_directory)) ...
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"
#include "engine/tree/files_above.h"
#include "engine/tree/path_filter.h"

namespace uringsync {

struct ScanFilter {
  PathFilterPtr rules;  // null: nothing is left out
  FilterSide side = FilterSide::kSender;
  FilterScopePtr scope;  // in force where the scan begins: of the directory above its root
  std::string path;      // of the scan's root below the root of the transfer
  FilterTop top;         // where what a view consists of lies
};

class DirectoryFilter {
 public:
  // Reads the merge files of `directory`, whose path below the root of the transfer is `path`. An error with an errno
  // is this directory's: a merge file that cannot be read (ELOOP: a link, EINVAL: no regular file, EFBIG).
  // InvalidArgument without one is a rule that is wrong. `filter` outlives the result.
  static absl::StatusOr<DirectoryFilter> Enter(Driver* driver, const ScanFilter& filter, const FilterScopePtr& parent,
                                               std::string path, const Directory& directory);

  // The same where PathFilter::NeedsEntering(*parent) is false: nothing is read.
  static DirectoryFilter Inherit(const ScanFilter& filter, FilterScopePtr parent, std::string path);

  // The entry `name` is not told.
  bool LeavesOut(std::string_view name, bool is_directory);
  // Of an entry that is told.
  Protection ProtectionOf(std::string_view name, bool is_directory);
  // Receiver: LeavesOut was true of something.
  bool holds_excluded() const { return holds_excluded_; }
  // For the directories below.
  const FilterScopePtr& scope() const { return scope_; }

 private:
  DirectoryFilter(const ScanFilter& filter, FilterScopePtr scope, std::string path)
      : filter_(&filter), scope_(std::move(scope)), prefix_(std::move(path)) {}
  const std::string& PathOf(std::string_view name);

  const ScanFilter* filter_;
  FilterScopePtr scope_;
  std::string prefix_;
  std::string path_;  // of the entry in question
  bool holds_excluded_ = false;
};

// The text of the merge file `name` in the directory behind `dirfd`; nullopt where there is none (or a directory).
// Errors as Enter's.
absl::StatusOr<std::optional<std::string>> ReadMergeFile(Driver* driver, int dirfd, const std::string& name);

}  // namespace uringsync
