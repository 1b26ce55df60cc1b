// Staging and publish: an object is made under a temporary name in its own directory and gets its final name whole, by
// one rename, or never.
//
// A new name is published with RENAME_NOREPLACE: what appeared meanwhile is never overwritten. For a replacement, the
// object that comes out must be the one that was planned against (dev, ino, type, size, mtime); anything else is a
// conflict (Aborted) and is put back (replace.h).
//
// A file that replaces nothing may be staged without any name (unnamed_file.h): it is linked when it is whole.
//
// Thread rule: made, used and destroyed on the shard that owns `driver` (the destructor unlinks what was not
// published). Use:  US_ASSIGN_OR_RETURN(StagedObject staged, StagedObject::CreateFile(driver, parent, &namer));
//       ... write to staged.fd(), ApplyMetadata(..., staged.handle(), ...), fsync ...
//       US_RETURN_IF_ERROR(staged.Publish(LeafName(path), action.existing));
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/unique_fd.h"
#include "engine/fs/directory.h"
#include "engine/fs/state_name.h"
#include "engine/fs/unnamed_file.h"
#include "engine/fs/xattrs.h"

namespace uringsync {

class StagedObject {
 public:
  StagedObject() = default;
  StagedObject(StagedObject&& other) noexcept;
  StagedObject& operator=(StagedObject&& other) noexcept;
  // Removes the temporary unless it was published. Best effort: the next session's scan removes what is left.
  ~StagedObject();

  // An empty regular file, O_EXCL, mode 0600, open for reading and writing.
  static absl::StatusOr<StagedObject> CreateFile(Driver* driver, DirectoryPtr parent, StateNamer* namer);
  // The same without a name, where `parent` can (else with one): for Publish without `existing`.
  static absl::StatusOr<StagedObject> CreateUnnamedFile(Driver* driver, DirectoryPtr parent, StateNamer* namer,
                                                        const UnnamedOptions& options);
  static absl::StatusOr<StagedObject> CreateSymlink(Driver* driver, DirectoryPtr parent, StateNamer* namer,
                                                    const std::string& target);
  // FIFO, socket or device as `wanted` says, mode 0600. PermissionDenied (EPERM) for a device without CAP_MKNOD.
  static absl::StatusOr<StagedObject> CreateSpecial(Driver* driver, DirectoryPtr parent, StateNamer* namer,
                                                    const Entry& wanted);
  // A hard link to `target_name` in `target_parent` (not followed).
  static absl::StatusOr<StagedObject> CreateLink(Driver* driver, DirectoryPtr parent, StateNamer* namer,
                                                 const Directory& target_parent, const char* target_name);

  // The existing regular file `name`, open for reading and writing, under its own name: for contents that are written
  // over it. Aborted: it is not what `existing` describes. Publish and Discard leave it as it is by then. Or a device:
  // ENOSPC when it has fewer than `device_bytes`.
  static absl::StatusOr<StagedObject> OpenInPlace(Driver* driver, DirectoryPtr parent, const char* name,
                                                  const Entry& existing, uint64_t device_bytes = 0);

  // The object `name` in `parent`, which was staged there before.
  static StagedObject Of(Driver* driver, DirectoryPtr parent, std::string name);

  // Publish gives it its name in `target` instead of parent(), which lies on the same file system. Not for an object in
  // place.
  void SetTarget(DirectoryPtr target) { target_ = std::move(target); }
  // The directory in which it gets its final name.
  const DirectoryPtr& target() const { return target_ != nullptr ? target_ : parent_; }

  bool valid() const { return parent_ != nullptr; }
  int fd() const { return fd_.get(); }                         // regular files; -1 for others
  const std::string& temporary_name() const { return name_; }  // empty: it has none
  const DirectoryPtr& parent() const { return parent_; }
  // The descriptor where there is one, else the temporary name. Valid while this object stays where it is.
  ObjectHandle handle() const;

  // Gives the object its final name in target(). `existing`: what was planned against; nullopt: nothing is there.
  // AlreadyExists/Aborted (conflict): the name holds something else than planned; the temporary is gone. A planned
  // empty directory is removed first (a directory cannot be renamed over). Other errors: of the rename. After OK the
  // object owns nothing. IsUnnamedRefused: staged anew, it gets a name at once.
  absl::Status Publish(const char* name, const std::optional<Entry>& existing);
  // `fd` is open on the object, which has a name: fd() and handle() are of it from now on.
  void Adopt(UniqueFd fd) { fd_ = std::move(fd); }
  // The object stays under its temporary name, which is given back; this one owns nothing any more. For an object that
  // has a name.
  std::string Release();
  // Takes the place of `name` in `directory`, whatever that is, but for a directory; the object has a name. After OK it
  // owns nothing.
  absl::Status MoveTo(const Directory& directory, const char* name);
  // Removes the temporary now.
  absl::Status Discard();

 private:
  StagedObject(Driver* driver, DirectoryPtr parent, std::string name, UniqueFd fd);
  absl::Status PublishNew(const char* name);
  absl::Status PublishWithoutFlag(const char* name);
  absl::Status PublishUnnamed(const char* name);
  absl::Status Replace(const char* name, const Entry& existing);
  // Where names cannot change places.
  absl::Status ReplaceWhatIsLookedAt(const char* name, const Entry& existing);

  Driver* driver_ = nullptr;
  DirectoryPtr parent_;  // null: nothing staged
  DirectoryPtr target_;  // null: parent_
  std::string name_;
  UniqueFd fd_;
  bool in_place_ = false;
};

// True for the Status of an object that is not the one planned against.
bool IsConflict(const absl::Status& status);

// True for the Status of an unnamed file that may not be linked here, although it could be made.
bool IsUnnamedRefused(const absl::Status& status);

// OK when `name` in `dirfd` is the object that `expected` describes (identity of file.h); Aborted when it is another
// one or was modified; NotFound when there is none.
absl::Status VerifyExisting(Driver* driver, int dirfd, const char* name, const Entry& expected);

// Removes the object `expected` describes, a directory only when it is empty (FailedPrecondition, ENOTEMPTY). Aborted:
// something else is there. Already gone is OK.
absl::Status RemoveObject(Driver* driver, int dirfd, const char* name, const Entry& expected);

// To be asked where a link was refused, of which many reasons lie in the one object: whether files of one's own get a
// second name in `directory`. Makes a temporary for that, unless it is known; false is remembered for the file system.
bool HasHardLinks(Driver* driver, const DirectoryPtr& directory, StateNamer* namer);

// mkdir with mode 0700, or `plain` as mkdir(1) does it. AlreadyExists when the name is taken.
absl::Status MakeDirectory(Driver* driver, int dirfd, const char* name, bool plain = false);

}  // namespace uringsync
