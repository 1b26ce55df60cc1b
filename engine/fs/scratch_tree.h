// Scratch trees: directories under a state name, for objects that belong to no tree that is synced (what `uringsync
// bench` writes).
//
// As every object with such a name they are in no manifest, and the next session that writes there removes what a dead
// one left.
//
// Thread rule: the shard that owns `driver`.
// Use:  US_ASSIGN_OR_RETURN(ScratchTree scratch, MakeScratchTree(driver, root, &namer));
//       ...  RemoveStateTree(driver, root->fd(), scratch.name.c_str());
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "engine/fs/directory.h"
#include "engine/fs/state_name.h"

namespace uringsync {

struct ScratchTree {
  std::string name;  // in the directory it was made in
  DirectoryPtr directory;
};
// An empty directory, mode 0700.
absl::StatusOr<ScratchTree> MakeScratchTree(Driver* driver, const Directory& parent, StateNamer* namer);

// Levels of directories that are removed; a scratch tree has two.
constexpr int kMaxScratchDepth = 4;

// Removes the object `name` of `dirfd`, whatever it is; of a directory everything below it that lies on the same file
// system, down to kMaxScratchDepth levels. No link is followed. OK when there is none. Only for state names (CHECKs):
// those are ours.
absl::Status RemoveStateTree(Driver* driver, int dirfd, const std::string& name);

// As RemoveStateTree, for an object that a session left which is dead: a directory goes only when it is empty, or when
// it is a scratch tree by its mode and everything in it (directories shard-<number> that hold regular files and nothing
// else). ENOTEMPTY: it is another one, and nothing of it was touched.
absl::Status RemoveDeadState(Driver* driver, int dirfd, const std::string& name);
// The same judgement without removing anything: `name` is a directory, and neither empty nor a scratch tree. One that
// may not be read is nobody's for sure: false.
bool IsForeignDirectory(Driver* driver, int dirfd, const std::string& name);

}  // namespace uringsync
