// PathSyncs: makes durable what a session changed at paths below its directory: names in directories, attributes.
//
// A name is on disk once the directory that holds it was fsynced after the change, attributes of a file once the file
// was: an fsync of the directory writes neither on xfs nor on ext4. What cannot be opened for that (a symlink, a
// device, a directory without read permission) is made durable with its whole file system (syncfs), which writes what
// others changed, too, and is done for nothing else. An fsync that failed is never tried again: the kernel has dropped
// what it could not write, and a second one would say that all is well.
//
// Thread rule: one shard. Use:  absl::Status synced = co_await syncs.Sync(PathSyncs::Kind::kDirectory, path);
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/rel_path.h"
#include "engine/coro/semaphore.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"

namespace uringsync {

class PathSyncs {
 public:
  enum class Kind : uint8_t {
    kDirectory,   // the names in the directory at the path, and its attributes
    kFile,        // the attributes of the regular file at the path
    kFileSystem,  // everything on the file system that the directory at the path lies on
  };
  // What is done about something that is gone by the time of its sync.
  enum class Gone : uint8_t {
    kIsFine,  // whoever removed it syncs the directory that it was in
    kClimb,   // it counts by the nearest directory above it that is there
  };
  // At most `parallel` fsyncs are under way, each of which holds a descriptor.
  PathSyncs(Driver* driver, DirectoryPtr root, std::optional<FollowBase> links, size_t parallel, Gone gone)
      : driver_(driver), root_(std::move(root)), links_(std::move(links)), gone_(gone), parallel_(parallel) {}

  // Whoever asks while a sync of the same thing runs is served by one that begins afterwards, together with all others
  // that wait for it, and gets its result: many calls for one directory cost two fsyncs. Errors: of open, fsync or
  // syncfs, with errno (EMFILE, ENFILE: nothing was tried yet); PermissionDenied without one where nothing of the file
  // system may be opened.
  Task<absl::Status> Sync(Kind kind, RelPath path);

 private:
  // Of one thing to be synced.
  struct Rounds {
    Semaphore turn{1};
    uint64_t begun = 0;
    size_t users = 0;
    absl::Status last;
  };
  enum class Outcome : uint8_t { kDone, kGone, kRefused };
  using Key = std::pair<Kind, std::string>;

  absl::StatusOr<DirectoryPtr> Open(const RelPath& path) const;
  Task<absl::Status> SyncDirectoryAt(const RelPath* path, Outcome* outcome);
  Task<absl::Status> SyncFileAt(const RelPath* path, Outcome* outcome);
  absl::Status SyncSystem(const RelPath& path) const;
  Key KeyOf(Kind kind, const RelPath& path) const;
  Task<absl::Status> SyncNow(Kind kind, RelPath path);

  Driver* const driver_;
  const DirectoryPtr root_;
  const std::optional<FollowBase> links_;
  const Gone gone_;
  Semaphore parallel_;
  std::map<Key, std::unique_ptr<Rounds>> rounds_;
};

}  // namespace uringsync
