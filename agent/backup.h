// BackupKeeper: keeps what a session replaces or deletes under another name (OpenSession::backup): beside the object
// with a suffix, or in a directory of its own, where the directories above it are made as they are at the destination.
//
// What is replaced gets its backup name as a second link before the new object takes its name, so it is never missing
// under both, and its own name always has the old or the new object. Where there are no hard links it is renamed. What
// has the backup name already goes: the last backup counts.
//
// Thread rule: one shard. Use:
//   US_RETURN_IF_ERROR(backup.Keep(path, *action.existing));   // then publish over it
//   US_RETURN_IF_ERROR(backup.Move(path, doomed));             // instead of unlinking it
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/entry.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Where backups go: OpenSession::backup with its directory found.
struct BackupTarget {
  std::string suffix;
  DirectoryPtr base;  // an existing directory; null: beside the objects
  RelPath below;      // of base: the backup directory, made when it is needed
  // What directories below it get of those that they stand for, beside the mode.
  bool owner = false;
  bool group = false;
};

class BackupKeeper {
 public:
  // Descriptors of directories that are kept open.
  static constexpr size_t kDirectories = 16;

  // `directories`: of the destination, outliving this object, as `driver` does. `sync`: Sync() has something to do.
  BackupKeeper(Driver* driver, DirectoryCache* directories, const BackupTarget& target, bool sync);

  // The object at `path` keeps its name and gets its backup name as well. Aborted: it is not `existing`; nothing has
  // changed. OK where there is none.
  absl::Status Keep(const RelPath& path, const Entry& existing);
  // It has its backup name only. Aborted and OK likewise.
  absl::Status Move(const RelPath& path, const Entry& existing);
  // Gives the directories that it made for backups the attributes that those of the destination have by now; at the end
  // of a run.
  void FinishDirectories();
  // Makes the backup names in other directories durable. The first failure.
  Task<absl::Status> Sync();

 private:
  // The directory of the backup of `path`, made if need be.
  absl::StatusOr<DirectoryPtr> TargetFor(const RelPath& path);
  absl::StatusOr<DirectoryPtr> MakeTarget(const RelPath& directory);
  // Frees `name` in `directory` of a former backup.
  absl::Status MakeRoom(const Directory& directory, const char* name);

  // A directory that was made like one of the destination: its owner and mode until that has got its own.
  struct Made {
    RelPath directory;  // of the target
    RelPath like;
    uint32_t uid = 0;
    uint32_t gid = 0;
    uint32_t mode = 0;
  };
  static constexpr size_t kMaxMade = 65536;  // more keep the attributes that they were made with
  absl::Status Adopt(const Directory& directory, const Made& made, uint32_t more_mode);

  Driver* const driver_;
  DirectoryCache* const sources_;
  const std::string suffix_;
  const RelPath below_;
  const bool sync_;
  const bool owner_;
  const bool group_;
  DirectoryCache targets_;  // below base; unused where backups lie beside
  const bool beside_;
  std::unordered_set<std::string> touched_;
  std::vector<Made> made_;
};

}  // namespace uringsync
