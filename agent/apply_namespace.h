// Changes of the destination's name space, one function each: directories, links, special files, deletes.
//
// Everything below the root goes through pinned parent directories; nothing follows a link. Objects get their final
// name whole, by a rename of a temporary; what is in the way must be what the plan was made against.
//
// Thread rule: the shard of `context`.
#pragma once

#include <linux/stat.h>

#include <optional>
#include <string>

#include "agent/apply_shared.h"
#include "engine/fs/atomic_file.h"
#include "engine/fs/directory.h"

namespace uringsync {

// What a shard needs to change names.
struct NamespaceContext {
  Driver* driver;
  ApplyShared* shared;
  DirectoryCache* directories;
  BackupKeeper* backup = nullptr;  // null: what is replaced or deleted is gone
};

// Whether both are of one inode.
// Whether the source's object has attributes that the session keeps.
inline bool HasXattrs(const Entry& entry) {
  return !entry.xattr_digest.is_zero() || !entry.capability_digest.is_zero() || !entry.trusted_digest.is_zero();
}

bool SameObject(const struct statx& a, const struct statx& b);

// The failure of a step at the destination: kConflict, kNoSpace or kFailed.
TransferFailure DestinationFailure(const absl::Status& status, std::string operation);

// The pinned directory that holds `path`.
absl::StatusOr<DirectoryPtr> ParentOf(const NamespaceContext& context, const RelPath& path);
// Gives the owner write and search permission on the directory at `path` that refused us (EACCES), until the run has
// ended (loosened_modes.h). True also when it is writable by now: another shard may have made it so. False when it
// cannot be changed, and when it is not itself in the transfer (ApplyOptions::view).
bool MakeWritable(const NamespaceContext& context, const Directory& directory, const RelPath& path);

// Opens the action's name in `dirfd` as a descriptor that only names it, and checks on it that it is what the action
// was planned against: a directory's own mtime and inode may be new in this very run, any other object must have the
// planned identity (else Aborted).
absl::Status PinObject(const NamespaceContext& context, int dirfd, const Action& action, UniqueFd* pinned);
// The same for a staged object: it must be of the wanted type and have no other name.
absl::Status PinStaged(Driver* driver, const StagedObject& staged, const Entry& wanted, UniqueFd* pinned);

// To be called right before something takes the place of `action.existing`: keeps it as a backup, where that was asked
// for.
std::optional<TransferFailure> KeepBackup(const NamespaceContext& context, const Action& action);

// mkdir 0700; a planned object of another type makes way first. A directory that is there already is fine.
std::optional<TransferFailure> ApplyMakeDirectory(const NamespaceContext& context, const Action& action);
// What a kDelete was planned against: `wanted`, unless the coordinator is one that told it as `existing` too.
const Entry& DoomedObject(const Action& action);
// Removes the planned object from `parent` (ParentOf its path); nothing there is fine.
std::optional<TransferFailure> ApplyDelete(const NamespaceContext& context, const Action& action,
                                           const absl::StatusOr<DirectoryPtr>& parent);
// A staged hard link of action.link_target, whose identity (type, size, mtime) must be that of action.wanted. Left
// invalid, without a failure, when the name is that very inode already.
std::optional<TransferFailure> StageLink(const NamespaceContext& context, const Action& action, StagedObject* staged);
// A staged hard link, for action.path, of `name` in `directory`, whatever that is; invalid as with StageLink.
std::optional<TransferFailure> StageLinkOf(const NamespaceContext& context, const Action& action,
                                           const Directory& directory, const char* name, StagedObject* staged);

}  // namespace uringsync
