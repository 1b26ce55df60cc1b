// Replacing an object by a staged one so that only the object that was planned against can get lost.
//
// The two change places (RENAME_EXCHANGE), and what came out is looked at: the object that was meant is removed,
// another one is put back. Before, the temporary's name says which inode is ours and which object was meant
// (state_name.h), so that whatever ends the process in between, the next one knows what it finds under that name:
// RecoverStray removes what is ours or was meant, puts back what is somebody else's, and never removes that.
//
// Where a file system cannot exchange names (NFS, some FUSE file systems) the object is looked at immediately before
// the rename; between the two lies a window of two system calls.
//
// Thread rule: on the shard that owns `driver`. Use:
//   Replacement done = ReplaceByExchange(driver, *parent, *directory, &temporary, own_inode, "name", existing);
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "engine/base/entry.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Digest of what CompareIdentity compares but for the device: a name and what it stands for lie on one.
uint64_t IdentityDigest(const Entry& entry);

enum class ReplaceResult : uint8_t {
  kReplaced,       // and what was replaced is gone
  kNothingThere,   // the name is free; nothing happened
  kConflict,       // something else was there, and is again; the temporary is as before
  kConflictKept,   // something else was there, and something came into its place meanwhile, which stays; it itself has
                   // the temporary's name, and nothing is ours any more
  kCannotExchange  // not on this file system; nothing happened
};

struct Replacement {
  ReplaceResult result = ReplaceResult::kReplaced;
  absl::Status status;    // not OK: nothing happened, or what was replaced ("unlink") is still there beside it
  bool modified = false;  // kConflict: it is the object that was meant, with another size or time
};

// Puts the object `*temporary` of `from`, inode `own_inode`, in the place of `name` in `directory`; `existing` was
// planned against. Where `*temporary` changes, it is in `directory` under that name from then on.
Replacement ReplaceByExchange(Driver* driver, const Directory& from, const Directory& directory, std::string* temporary,
                              uint64_t own_inode, const char* name, const Entry& existing);

enum class StrayFate : uint8_t {
  kRemoved,
  kFailed,  // it stays, ours
  kForeign  // it stays: somebody else's, and there is no place where it belongs
};
// What becomes of `name` in `directory`, a temporary of a session that is dead. Reads the directory where that is
// needed, from its beginning.
StrayFate RecoverStray(Driver* driver, const Directory& directory, const std::string& name);
// Whether `name` in `directory`, a temporary by its name, is somebody else's for sure, as far as looking tells: a
// directory that is none of ours, or an object that a process which died has displaced. Nothing is changed.
bool IsForeignState(Driver* driver, const Directory& directory, const std::string& name);

}  // namespace uringsync
