#include "engine/fs/atomic_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/device_file.h"
#include "engine/fs/file.h"
#include "engine/fs/replace.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// A temporary name can be taken by a stray of a process that had the same tag; the serial moves on.
constexpr int kMaxNameAttempts = 16;

absl::Status Conflict(std::string_view what) {
  return MakeStatus(absl::StatusCode::kAborted, what);
}

// What linkat(2) says where this object, or none, gets a second name.
bool IsRefusedLink(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == EMLINK || error == ENOSYS;
}

// Runs `make(name)` under fresh names until one is free. Returns the result (≥ 0 or -errno); `name` is the last one
// tried.
template <typename Make>
int UnderFreshName(StateNamer* namer, std::string* name, Make make) {
  int result = -EEXIST;
  for (int attempt = 0; result == -EEXIST && attempt < kMaxNameAttempts; ++attempt) {
    *name = namer->Next();
    result = make(name->c_str());
  }
  return result;
}

// A file that its owner may not write to, as long as the mode is not changed: it is changed for the moment in which it
// is opened.
absl::StatusOr<UniqueFd> OpenUnwritable(Driver* driver, int dirfd, const char* name, const Entry& existing, int flags) {
  const int fd = sys::Openat(driver, dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(-fd, "open");
  const UniqueFd pinned(fd);
  struct statx found;
  US_RETURN_IF_ERROR(StatDescriptor(driver, fd, &found));
  if (CompareIdentity(IdentityOf(existing), found) != IdentityMatch::kSame)
    return Conflict("was changed since it was planned");
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  const uint32_t mode = found.stx_mode & 07777;
  if (sys::Fchmodat(driver, AT_FDCWD, self.c_str(), mode | S_IWUSR) < 0) return ErrnoStatus(EACCES, "open");
  const int opened = sys::Openat(driver, AT_FDCWD, self.c_str(), flags);
  static_cast<void>(sys::Fchmodat(driver, AT_FDCWD, self.c_str(), mode));
  if (opened < 0) return ErrnoStatus(-opened, "open");
  return UniqueFd(opened);
}

}  // namespace

StagedObject::StagedObject(Driver* driver, DirectoryPtr parent, std::string name, UniqueFd fd)
    : driver_(driver), parent_(std::move(parent)), name_(std::move(name)), fd_(std::move(fd)) {}

StagedObject::StagedObject(StagedObject&& other) noexcept
    : driver_(other.driver_),
      parent_(std::exchange(other.parent_, nullptr)),
      target_(std::exchange(other.target_, nullptr)),
      name_(std::move(other.name_)),
      fd_(std::move(other.fd_)),
      in_place_(other.in_place_) {}

StagedObject& StagedObject::operator=(StagedObject&& other) noexcept {
  if (this != &other) {
    Discard().IgnoreError();
    driver_ = other.driver_;
    parent_ = std::exchange(other.parent_, nullptr);
    target_ = std::exchange(other.target_, nullptr);
    name_ = std::move(other.name_);
    fd_ = std::move(other.fd_);
    in_place_ = other.in_place_;
  }
  return *this;
}

StagedObject::~StagedObject() {
  Discard().IgnoreError();
}

absl::StatusOr<StagedObject> StagedObject::CreateFile(Driver* driver, DirectoryPtr parent, StateNamer* namer) {
  std::string name;
  const int fd = UnderFreshName(namer, &name, [&](const char* temporary) {
    return sys::Openat(driver, parent->fd(), temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  });
  if (fd < 0) return ErrnoStatus(-fd, "create");
  return StagedObject(driver, std::move(parent), std::move(name), UniqueFd(fd));
}

absl::StatusOr<StagedObject> StagedObject::CreateUnnamedFile(Driver* driver, DirectoryPtr parent, StateNamer* namer,
                                                             const UnnamedOptions& options) {
  absl::StatusOr<UniqueFd> file = OpenUnnamed(driver, *parent, options);
  if (!file.ok()) return file.status();
  if (!file->valid()) return CreateFile(driver, std::move(parent), namer);
  return StagedObject(driver, std::move(parent), std::string(), *std::move(file));
}

absl::StatusOr<StagedObject> StagedObject::CreateSymlink(Driver* driver, DirectoryPtr parent, StateNamer* namer,
                                                         const std::string& target) {
  std::string name;
  const int result = UnderFreshName(namer, &name, [&](const char* temporary) {
    return sys::Symlinkat(driver, target.c_str(), parent->fd(), temporary);
  });
  if (result < 0) return ErrnoStatus(-result, "symlink");
  return StagedObject(driver, std::move(parent), std::move(name), UniqueFd());
}

absl::StatusOr<StagedObject> StagedObject::CreateSpecial(Driver* driver, DirectoryPtr parent, StateNamer* namer,
                                                         const Entry& wanted) {
  const uint32_t type = FileTypeToMode(wanted.type);
  if (type == S_IFREG || type == S_IFDIR || type == S_IFLNK)
    return MakeStatus(absl::StatusCode::kInvalidArgument, "mknod: not a special file");
  const dev_t device = ::makedev(wanted.rdev_major, wanted.rdev_minor);
  std::string name;
  const int result = UnderFreshName(namer, &name, [&](const char* temporary) {
    return sys::Mknodat(driver, parent->fd(), temporary, type | 0600, device);
  });
  if (result < 0) return ErrnoStatus(-result, "mknod");
  return StagedObject(driver, std::move(parent), std::move(name), UniqueFd());
}

absl::StatusOr<StagedObject> StagedObject::CreateLink(Driver* driver, DirectoryPtr parent, StateNamer* namer,
                                                      const Directory& target_parent, const char* target_name) {
  if (parent->file_system(driver).Lacks(Lack::kHardLinks)) return ErrnoStatus(EPERM, "link");
  std::string name;
  const int result = UnderFreshName(namer, &name, [&](const char* temporary) {
    return sys::Linkat(driver, target_parent.fd(), target_name, parent->fd(), temporary, 0);
  });
  if (result < 0) return ErrnoStatus(-result, "link");
  return StagedObject(driver, std::move(parent), std::move(name), UniqueFd());
}

StagedObject StagedObject::Of(Driver* driver, DirectoryPtr parent, std::string name) {
  return StagedObject(driver, std::move(parent), std::move(name), UniqueFd());
}

absl::StatusOr<StagedObject> StagedObject::OpenInPlace(Driver* driver, DirectoryPtr parent, const char* name,
                                                       const Entry& existing, uint64_t device_bytes) {
  if (IsDevice(existing.type)) {
    US_ASSIGN_OR_RETURN(UniqueFd device, OpenDeviceToWrite(driver, parent->fd(), name, existing, device_bytes));
    StagedObject object(driver, std::move(parent), std::string(), std::move(device));
    object.in_place_ = true;
    return object;
  }
  // Not blocking: a FIFO that took its place would wait for a reader.
  constexpr int kFlags = O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const int fd = sys::Openat(driver, parent->fd(), name, kFlags | O_NOFOLLOW);
  UniqueFd file(fd);
  if (fd == -EACCES && (existing.mode & S_IWUSR) == 0) {
    US_ASSIGN_OR_RETURN(file, OpenUnwritable(driver, parent->fd(), name, existing, kFlags));
  } else if (fd < 0) {
    return ErrnoStatus(-fd, "open");
  }
  struct statx found;
  US_RETURN_IF_ERROR(StatDescriptor(driver, file.get(), &found));
  if (CompareIdentity(IdentityOf(existing), found) != IdentityMatch::kSame)
    return Conflict("was changed since it was planned");
  StagedObject object(driver, std::move(parent), std::string(), std::move(file));
  object.in_place_ = true;
  return object;
}

ObjectHandle StagedObject::handle() const {
  return fd_.valid() ? ObjectHandle::OfFd(fd_.get()) : ObjectHandle::At(parent_->fd(), name_.c_str());
}

std::string StagedObject::Release() {
  parent_.reset();
  fd_.Reset();
  return std::move(name_);
}

absl::Status StagedObject::Discard() {
  if (parent_ == nullptr) return absl::OkStatus();
  const int result = name_.empty() ? 0 : sys::Unlinkat(driver_, parent_->fd(), name_.c_str(), 0);
  parent_.reset();
  fd_.Reset();
  return result == -ENOENT ? absl::OkStatus() : sys::SysStatus(result, "unlink");
}

absl::Status StagedObject::MoveTo(const Directory& directory, const char* name) {
  US_RETURN_IF_ERROR(
      sys::SysStatus(sys::Renameat2(driver_, parent_->fd(), name_.c_str(), directory.fd(), name, 0), "rename"));
  parent_.reset();
  fd_.Reset();
  return absl::OkStatus();
}

absl::Status StagedObject::PublishUnnamed(const char* name) {
  const int result = LinkUnnamed(driver_, fd_.get(), *parent_, name);
  if (result == 0 || MayHaveUnnamed(driver_, *parent_)) return sys::SysStatus(result, "link");
  return MakeStatus(absl::StatusCode::kUnimplemented, "link: an unnamed file may not get a name here");
}

absl::Status StagedObject::PublishNew(const char* name) {
  if (name_.empty()) return PublishUnnamed(name);
  const int from = parent_->fd();
  const int dirfd = target()->fd();
  FileSystemFacts& system = target()->file_system(driver_);
  const bool asks = !system.Lacks(Lack::kNoReplace);
  if (asks) {
    const int result = sys::Renameat2(driver_, from, name_.c_str(), dirfd, name, RENAME_NOREPLACE);
    if (result != -EINVAL && result != -ENOSYS) return sys::SysStatus(result, "rename");
  }
  const absl::Status published = PublishWithoutFlag(name);
  // FAT says EINVAL of a name that it does not take, with the flag and without.
  if (asks && published.ok()) system.Remember(Lack::kNoReplace);
  return published;
}

// Where there is no RENAME_NOREPLACE (NFS, some FUSE file systems).
absl::Status StagedObject::PublishWithoutFlag(const char* name) {
  const int from = parent_->fd();
  const int dirfd = target()->fd();
  FileSystemFacts& system = target()->file_system(driver_);
  // A hard link refuses an existing name just as well.
  if (!system.Lacks(Lack::kHardLinks)) {
    const int result = sys::Linkat(driver_, from, name_.c_str(), dirfd, name, 0);
    if (result == 0) return sys::SysStatus(sys::Unlinkat(driver_, from, name_.c_str(), 0), "unlink");
    if (!IsRefusedLink(-result)) return ErrnoStatus(-result, "link");
    // A file of our own may be linked wherever there are links; of other types some file systems make none.
    if (fd_.valid() && result != -EMLINK) system.Remember(Lack::kHardLinks);
  }
  // Nor hard links (FAT): look, then rename. What appears within these two calls is overwritten; nothing better exists
  // there.
  struct statx stat;
  if (StatAt(driver_, dirfd, name, &stat).ok()) return ErrnoStatus(EEXIST, "rename");
  const absl::Status renamed = sys::SysStatus(sys::Renameat2(driver_, from, name_.c_str(), dirfd, name, 0), "rename");
  if (renamed.ok()) system.Tell(Lack::kNewNames);
  return renamed;
}

absl::Status StagedObject::ReplaceWhatIsLookedAt(const char* name, const Entry& existing) {
  const int from = parent_->fd();
  const int dirfd = target()->fd();
  const absl::Status verified = VerifyExisting(driver_, dirfd, name, existing);
  if (absl::IsNotFound(verified)) return PublishNew(name);
  US_RETURN_IF_ERROR(verified);
  US_RETURN_IF_ERROR(sys::SysStatus(sys::Renameat2(driver_, from, name_.c_str(), dirfd, name, 0), "rename"));
  // rename(2) does nothing when both names are links of one inode: the temporary is still there.
  if (existing.nlink > 1) sys::Unlinkat(driver_, from, name_.c_str(), 0);
  return absl::OkStatus();
}

absl::Status StagedObject::Replace(const char* name, const Entry& existing) {
  // Only a temporary's name can say what it was about to do.
  if (!IsStateName(name_)) return ReplaceWhatIsLookedAt(name, existing);
  struct statx own;
  US_RETURN_IF_ERROR(fd_.valid() ? StatDescriptor(driver_, fd_.get(), &own)
                                 : StatAt(driver_, parent_->fd(), name_.c_str(), &own));
  const std::string before = name_;
  const Replacement done = ReplaceByExchange(driver_, *parent_, *target(), &name_, own.stx_ino, name, existing);
  if (name_ != before) parent_ = target();
  US_RETURN_IF_ERROR(done.status);
  switch (done.result) {
    case ReplaceResult::kReplaced: return absl::OkStatus();
    // The object that was to be replaced is gone: taking its name loses nothing.
    case ReplaceResult::kNothingThere: return PublishNew(name);
    case ReplaceResult::kCannotExchange: return ReplaceWhatIsLookedAt(name, existing);
    case ReplaceResult::kConflictKept: Release(); break;
    case ReplaceResult::kConflict: break;
  }
  return Conflict(done.modified ? "was modified since it was planned" : "was replaced since it was planned");
}

absl::Status StagedObject::Publish(const char* name, const std::optional<Entry>& existing) {
  absl::Status status;
  const int dirfd = target()->fd();
  if (in_place_) {
    // It has its name.
  } else if (!existing.has_value()) {
    status = PublishNew(name);
    PassKillPoint(KillPoint::kPublishLinked);
    if (absl::IsAlreadyExists(status)) status = Conflict("appeared since it was planned");
  } else if (name_.empty()) {
    status = MakeStatus(absl::StatusCode::kInternal, "publish: an unnamed file replaces nothing");
  } else if (existing->type == FileType::kDirectory) {
    status = RemoveObject(driver_, dirfd, name, *existing);
    if (status.ok()) status = PublishNew(name);
  } else {
    status = Replace(name, *existing);
  }
  if (!status.ok()) {
    Discard().IgnoreError();
    return status;
  }
  parent_.reset();
  fd_.Reset();
  return absl::OkStatus();
}

bool IsConflict(const absl::Status& status) {
  return absl::IsAborted(status);
}

bool IsUnnamedRefused(const absl::Status& status) {
  return absl::IsUnimplemented(status);
}

absl::Status VerifyExisting(Driver* driver, int dirfd, const char* name, const Entry& expected) {
  struct statx stat;
  US_RETURN_IF_ERROR(StatAt(driver, dirfd, name, &stat));
  switch (CompareIdentity(IdentityOf(expected), stat)) {
    case IdentityMatch::kSame: return absl::OkStatus();
    case IdentityMatch::kModified: return Conflict("was modified since it was planned");
    case IdentityMatch::kOther: break;
  }
  return Conflict("was replaced since it was planned");
}

absl::Status RemoveObject(Driver* driver, int dirfd, const char* name, const Entry& expected) {
  const absl::Status verified = VerifyExisting(driver, dirfd, name, expected);
  if (absl::IsNotFound(verified)) return absl::OkStatus();
  US_RETURN_IF_ERROR(verified);
  const bool directory = expected.type == FileType::kDirectory;
  PassKillPoint(KillPoint::kDelete);
  const int result = sys::Unlinkat(driver, dirfd, name, directory ? AT_REMOVEDIR : 0);
  PassKillPoint(directory ? KillPoint::kDeletedDirectory : KillPoint::kDeleted);
  if (result == -ENOENT) return absl::OkStatus();
  return sys::SysStatus(result, directory ? "rmdir" : "unlink");
}

bool HasHardLinks(Driver* driver, const DirectoryPtr& directory, StateNamer* namer) {
  FileSystemFacts& system = directory->file_system(driver);
  if (system.Lacks(Lack::kHardLinks)) return false;
  const absl::StatusOr<StagedObject> own = StagedObject::CreateFile(driver, directory, namer);
  if (!own.ok()) return true;
  const char* const name = own->temporary_name().c_str();
  const int error = StatusErrno(StagedObject::CreateLink(driver, directory, namer, *directory, name).status());
  if (error == EPERM || error == EOPNOTSUPP || error == ENOSYS) system.Remember(Lack::kHardLinks);
  return !system.Lacks(Lack::kHardLinks);
}

absl::Status MakeDirectory(Driver* driver, int dirfd, const char* name, bool plain) {
  return sys::SysStatus(sys::Mkdirat(driver, dirfd, name, plain ? 0777 : 0700), "mkdir");
}

}  // namespace uringsync
