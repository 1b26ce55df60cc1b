// Tree snapshots: a directory of a btrfs subvolume as it is at one instant, to be read while the tree itself goes on
// changing.
//
// A read-only snapshot of the whole subvolume is made in the directory that is to be read, under a state name: scanners
// hide it. Whoever made it holds a flock(2) on it for as long as it lives, so one that can be locked is dead and is
// removed by the next session that comes to this directory (RemoveDeadTreeSnapshots), or by a destination's scanner
// that meets it. Neither the making nor the removal moves the directory's modification time.
//
// Thread rule: the shard that owns `driver`; TreeSnapshot is a value that moves. A snapshot waits until the file system
// has written what the subvolume has in memory.
// Use:  StateNamer namer(SessionTag(session));
//       US_ASSIGN_OR_RETURN(TreeSnapshot snapshot, MakeTreeSnapshot(driver, directory, nullptr, &namer));
//       ... read snapshot.directory ...
//       RemoveTreeSnapshot(driver, std::move(snapshot));
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "engine/fs/directory.h"
#include "engine/fs/state_name.h"

namespace uringsync {

struct TreeSnapshot {
  DirectoryPtr live;       // the directory itself, in which the snapshot lies
  std::string name;        // of the snapshot in `live`
  DirectoryPtr top;        // the snapshot; holds the lock
  DirectoryPtr directory;  // what `live` was
};

// Of `directory`, whose subvolume has to begin at `limit` or below it (null: anywhere): a snapshot holds the whole
// subvolume, and who may read below `limit` may read the snapshot. FailedPrecondition: there can be none, and the text
// says why (another file system, a mount or a further subvolume below the directory, no right to make or to remove
// one); nothing is left behind then. Other errors carry errno.
absl::StatusOr<TreeSnapshot> MakeTreeSnapshot(Driver* driver, const DirectoryPtr& directory, const Directory* limit,
                                              StateNamer* namer);

// Readers that have something of it open may go on reading. Errors of the removal: it stays for the next session.
absl::Status RemoveTreeSnapshot(Driver* driver, TreeSnapshot snapshot);

enum class SnapshotFate : uint8_t {
  kNone,     // the object is no snapshot
  kLives,    // its session does
  kRemoved,  // it was dead
  kStays,    // it is dead, and this process may not remove it
  kForeign   // a subvolume that is neither empty nor a read-only snapshot of the one it lies in: not ours, and it stays
};
// Whether the object `name` of `dirfd`, a state name, is a read-only snapshot of the subvolume that it lies in.
bool IsTreeSnapshot(Driver* driver, int dirfd, const std::string& name);
// Of the object `name` of `dirfd`, a state name.
SnapshotFate RemoveDeadTreeSnapshot(Driver* driver, int dirfd, const std::string& name);
// Of all that lie in `directory`. One pass over its names on btrfs, nothing elsewhere; what goes wrong is left for the
// next time.
void RemoveDeadTreeSnapshots(Driver* driver, const Directory& directory);

}  // namespace uringsync
