// FilterGate: what a source's filter rules hide is not handed out either. Contents are asked for by path, and who asks
// may be a hostile agent on another host: what was never told to it must not be had by guessing its name.
//
// Memory: the rules' state of kMaxDirectories directories. Thread rule: one thread, the shard of the reader that asks.
// Use:  FilterGate gate(&filter, view);   options.hides = [&](path, directory, driver, open) { return
// gate.Hides(driver, path, directory, open); };
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "engine/fs/tree_view.h"
#include "engine/transfer/source_reader.h"
#include "engine/tree/scan_filter.h"
#include "engine/tree/view_filter.h"

namespace uringsync {

class FilterGate {
 public:
  static constexpr size_t kMaxDirectories = 1024;

  // `filter` has rules and outlives this object; `view` may be null.
  FilterGate(const ScanFilter* filter, std::shared_ptr<const TreeView> view) : filter_(filter) {
    if (view != nullptr) view_.emplace(std::move(view), filter);
  }

  // Whether the rules hide the object, or a directory on the way to it. `path` is one that exists: the time is that of
  // its components. `open` opens a directory of the session's tree, where that is no view, for its merge files; its
  // errors, and those of merge files, are returned.
  absl::StatusOr<bool> Hides(Driver* driver, const RelPath& path, bool is_directory, const OpenTreeDirectory& open);

 private:
  using Rules = std::optional<DirectoryFilter>;  // of a directory; nullopt: it is hidden itself
  absl::StatusOr<Rules> In(Driver* driver, const RelPath& directory, const OpenTreeDirectory& open);
  // `above`: of the directory above.
  absl::StatusOr<Rules> Enter(Driver* driver, const RelPath& directory, const Rules& above,
                              const OpenTreeDirectory& open);
  bool LeavesOut(Driver* driver, const RelPath& directory, DirectoryFilter* rules, std::string_view name,
                 bool is_directory);

  const ScanFilter* const filter_;
  std::optional<ViewFilter> view_;
  std::unordered_map<std::string, Rules> directories_;
};

}  // namespace uringsync
