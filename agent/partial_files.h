// PartialFiles: the directories in which parts of files are kept, and in which new files wait (StagingSettings): one
// below the directory of each file, or one for all. They are made, 0700, when something is kept, and those beside files
// go with the last thing in them.
//
// Whatever is in them is only ever a proposal for contents. Other shards may remove a directory that is about to be
// used: it is made again.
//
// Thread rule: one shard. Use:
//   PartialFiles parts(driver, &directories, target);
//   file.basis = parts.Open(path, &direct_io);             // what an earlier run left
//   US_RETURN_IF_ERROR(parts.Keep(&staged, path));         // what this one leaves
//   parts.Remove(path);                                    // the file is whole
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "engine/fs/atomic_file.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"
#include "engine/transfer/delta_job.h"

namespace uringsync {

// Where parts are kept: StagingSettings with its place found.
struct PartialTarget {
  RelPath directory;  // below the directory `climb` levels above the file's; the root: none of this kind
  uint32_t climb = 0;
  DirectoryPtr base;  // of one for all files: an existing directory; null: none of this kind
  RelPath below;      // of base: the directory

  // Files are kept under their own names otherwise.
  bool is_set() const { return base != nullptr || !directory.is_root(); }
};

class PartialFiles {
 public:
  // Descriptors of directories that are kept open.
  static constexpr size_t kDirectories = 16;

  // `directories`: of the destination, outliving this object, as `driver` and `target` do.
  PartialFiles(Driver* driver, DirectoryCache* directories, const PartialTarget& target);

  // What was kept of `path`; null where nothing was, or nothing that is of use.
  std::shared_ptr<const DeltaBasis> Open(const RelPath& path, DirectIo* direct_io);
  // `staged` takes the place of what was kept of `path`, and is nobody's temporary any more.
  absl::Status Keep(StagedObject* staged, const RelPath& path);
  // The directory for `path`, made if need be, with nothing in it of that name.
  absl::StatusOr<DirectoryPtr> MakeRoom(const RelPath& path);
  // What MakeRoom's caller put there, to be published in `target`.
  absl::StatusOr<StagedObject> Take(const RelPath& path, DirectoryPtr target);
  // Removes what was kept of `path`, and the directory where it lies beside the file and is empty then.
  void Remove(const RelPath& path);
  // The directory, where it is empty.
  void RemoveDirectory(const RelPath& path);

 private:
  DirectoryCache* cache() { return target_.base != nullptr ? &places_ : directories_; }
  // Where the parts of `path` lie; nullopt above the root.
  std::optional<RelPath> DirectoryOf(const RelPath& path) const;
  absl::StatusOr<DirectoryPtr> Find(const RelPath& path);
  absl::StatusOr<DirectoryPtr> Make(const RelPath& path);

  Driver* const driver_;
  DirectoryCache* const directories_;
  const PartialTarget& target_;
  DirectoryCache places_;  // below target_.base
};

}  // namespace uringsync
