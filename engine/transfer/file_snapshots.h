// FileSnapshots: source files as they were at one instant each, to be read while others write to them.
//
// The first request for a file makes an unnamed clone of it (FICLONE: no byte is copied, and the kernel keeps writers
// out while it is made) in the file's own directory, else in the session's. Every range of the file, on whatever shard,
// is read from that clone, and what is told of the file is what it was then: so one that is written to all the time
// arrives whole, as of one moment. A clone goes when its file was read to the end, or when there are too many: whoever
// comes for another range then finds a file that has changed.
//
// Thread rule: shared by all shards of a session; each call on the shard that owns `driver`.
// Use:  FileSnapshots snapshots(root, {.capacity = 64});
//       absl::StatusOr<FileSnapshotPtr> snapshot = co_await snapshots.Get(driver, file_fd, parent, {identity, whole});
//       ... read (*snapshot)->fd ...    snapshots.WasRead(identity.id, bytes);
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/unique_fd.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/fs/file.h"
#include "engine/ring/driver.h"

namespace uringsync {

struct FileSnapshot {
  UniqueFd fd;  // the clone, open for reading
  // The file itself, where the clone is kept: as long as it is open, no other file gets its inode number.
  UniqueFd original;
  // The file as of the clone. Where a later write could show the same modification time, that is a nanosecond less: the
  // next comparison looks at the file again.
  struct statx stat {};
};
using FileSnapshotPtr = std::shared_ptr<const FileSnapshot>;

// OK where files of `directory` can be cloned into unnamed ones in it. Errors with errno: EOPNOTSUPP (ext4, tmpfs, xfs
// without reflink), EACCES, EROFS, ...
absl::Status ProbeFileSnapshots(Driver* driver, const Directory& directory);

class FileSnapshots {
 public:
  // `capacity`: clones held between requests, of two descriptors each, at least 1.
  FileSnapshots(DirectoryPtr root, size_t capacity) : root_(std::move(root)), capacity_(capacity) {}

  // The file as a request expects it, and whether that asks for all of it.
  struct Wanted {
    FileIdentity file;
    bool whole = false;
  };
  // Of the regular file `fd`, open for reading, which is `wanted` (but perhaps for size and time) and lies in `parent`.
  // Kept for other requests, unless this one is the only one that comes. Errors with errno: the file or its file system
  // refuses.
  Task<absl::StatusOr<FileSnapshotPtr>> Get(Driver* driver, int fd, DirectoryPtr parent, Wanted wanted);
  // `bytes` more of the file were read; with the last one its clone goes. Nothing where none is kept.
  void WasRead(const FileId& id, uint64_t bytes);

 private:
  struct Kept {
    FileSnapshotPtr snapshot;
    uint64_t left = 0;  // bytes that were not read yet
    std::list<FileId>::iterator age;
  };
  FileSnapshotPtr Find(const FileId& id);
  // The one that is kept: another shard may have been first.
  FileSnapshotPtr Keep(const FileId& id, FileSnapshotPtr snapshot);

  const DirectoryPtr root_;
  const size_t capacity_;
  std::mutex mutex_;
  std::map<FileId, Kept> kept_;
  std::list<FileId> ages_;  // most recently used first
};

}  // namespace uringsync
