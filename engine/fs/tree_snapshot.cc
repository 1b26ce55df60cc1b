#include "engine/fs/tree_snapshot.h"

#include <linux/btrfs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/file.h"
#include "engine/fs/file_system.h"
#include "engine/fs/mount_table.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// The inode of every subvolume's root.
constexpr uint64_t kSubvolumeRoot = 256;
constexpr size_t kMaxDepth = 4096;       // of a directory below its subvolume
constexpr size_t kMaxNestedLists = 256;  // of up to 255 subvolumes each
constexpr int kMaxTries = 3;  // of a new snapshot, which somebody may take for a dead one before it is locked

absl::Status Impossible(std::string why) {
  return absl::FailedPreconditionError(std::move(why));
}

bool IsBtrfs(Driver* driver, int fd) {
  struct statfs stat {};
  return driver->Call(CallCode::kFstatfs, fd, sys::Arg(&stat)) == 0 && stat.f_type == BTRFS_SUPER_MAGIC;
}

bool SameObject(const struct statx& a, const struct statx& b) {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}

absl::StatusOr<std::string> PathOf(Driver* driver, int fd) {
  std::string path(PATH_MAX, '\0');
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const long length = sys::Readlinkat(driver, AT_FDCWD, link.c_str(), path.data(), path.size());
  US_RETURN_IF_ERROR(sys::SysStatus(length, "readlink"));
  path.resize(static_cast<size_t>(length));
  return path;
}

// A directory's modification time, to be put back after a name in it came or went.
class KeptTime {
 public:
  KeptTime(Driver* driver, int fd) : driver_(driver), fd_(fd), known_(StatDescriptor(driver, fd, &before_).ok()) {}
  void Restore() const {
    if (!known_) return;
    const timespec times[2] = {
        {.tv_sec = 0, .tv_nsec = UTIME_OMIT},
        {.tv_sec = before_.stx_mtime.tv_sec, .tv_nsec = static_cast<long>(before_.stx_mtime.tv_nsec)}};
    static_cast<void>(sys::Utimensat(driver_, fd_, nullptr, times, 0));
  }

 private:
  Driver* const driver_;
  const int fd_;
  struct statx before_ {};
  const bool known_;
};

template <typename Arguments>
int NameIoctl(Driver* driver, int fd, unsigned long request, const std::string& name, Arguments* arguments) {
  if (name.size() >= sizeof(arguments->name)) return -ENAMETOOLONG;
  std::memcpy(arguments->name, name.c_str(), name.size() + 1);
  return sys::Ioctl(driver, fd, request, sys::Arg(arguments));
}

int DestroySubvolume(Driver* driver, int dirfd, const std::string& name) {
  const auto arguments = std::make_unique<btrfs_ioctl_vol_args>();
  return NameIoctl(driver, dirfd, BTRFS_IOC_SNAP_DESTROY, name, arguments.get());
}

// What could not be removed must not be made: an empty subvolume tells. (No capability says it: a mount option may
// grant it, and a user namespace takes it away.)
absl::Status CheckRemovable(Driver* driver, int dirfd, StateNamer* namer) {
  const std::string name = namer->Next();
  const auto arguments = std::make_unique<btrfs_ioctl_vol_args>();
  const int made = NameIoctl(driver, dirfd, BTRFS_IOC_SUBVOL_CREATE, name, arguments.get());
  if (made < 0) return Impossible("a snapshot cannot be made in it (" + std::string(std::strerror(-made)) + ")");
  const int destroyed = DestroySubvolume(driver, dirfd, name);
  // ENOENT: somebody took it for what a dead session left, and could remove it.
  if (destroyed == 0 || destroyed == -ENOENT) return absl::OkStatus();
  // An empty one goes by rmdir(2) too.
  static_cast<void>(sys::Unlinkat(driver, dirfd, name.c_str(), AT_REMOVEDIR));
  return Impossible(
      "this process could make a snapshot but not remove it; that takes CAP_SYS_ADMIN or the mount option "
      "user_subvol_rm_allowed");
}

// Where the subvolume of a directory begins.
struct Subvolume {
  UniqueFd top;      // readable
  std::string path;  // of this host
};

absl::StatusOr<Subvolume> FindSubvolume(Driver* driver, const Directory& directory, const Directory* limit) {
  struct statx here {};
  struct statx last {};
  US_RETURN_IF_ERROR(StatDescriptor(driver, directory.fd(), &here));
  if (limit != nullptr) US_RETURN_IF_ERROR(StatDescriptor(driver, limit->fd(), &last));
  UniqueFd above;
  int fd = directory.fd();
  for (size_t depth = 0; here.stx_ino != kSubvolumeRoot; ++depth) {
    if (limit != nullptr && SameObject(here, last))
      return Impossible("its btrfs subvolume begins above the agent's root, and a snapshot would hold what lies there");
    UniqueFd next(sys::Openat(driver, fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct statx stat {};
    const bool climbs = depth < kMaxDepth && next.valid() && StatDescriptor(driver, next.get(), &stat).ok() &&
                        stat.stx_dev_major == here.stx_dev_major && stat.stx_dev_minor == here.stx_dev_minor &&
                        !SameObject(stat, here);
    if (!climbs) return Impossible("the top of its btrfs subvolume is not mounted above it");
    here = stat;
    above = std::move(next);
    fd = above.get();
  }
  Subvolume found;
  found.top = UniqueFd(sys::Openat(driver, fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!found.top.valid()) return Impossible("the top of its btrfs subvolume cannot be opened");
  US_ASSIGN_OR_RETURN(found.path, PathOf(driver, found.top.get()));
  return found;
}

// The path below `directory` of a subvolume that lies there, but for snapshots of sessions; nullopt: there is none.
absl::StatusOr<std::optional<std::string>> NestedSubvolume(Driver* driver, const Directory& directory, int top) {
  btrfs_ioctl_get_subvol_rootref_args list{};
  for (size_t lists = 0; lists < kMaxNestedLists; ++lists) {
    const int listed = sys::Ioctl(driver, top, BTRFS_IOC_GET_SUBVOL_ROOTREF, sys::Arg(&list));
    if (listed < 0 && listed != -EOVERFLOW)
      return Impossible("the kernel does not tell of subvolumes below it (" + std::string(std::strerror(-listed)) +
                        ")");
    const size_t count = std::min<size_t>(list.num_items, BTRFS_MAX_ROOTREF_BUFFER_NUM);
    for (size_t i = 0; i < count; ++i) {
      const auto looked_up = std::make_unique<btrfs_ioctl_ino_lookup_user_args>();
      looked_up->treeid = list.rootref[i].treeid;
      looked_up->dirid = list.rootref[i].dirid;
      // EACCES: it lies elsewhere in the subvolume, or where nobody without a right to read it gets. ENOENT: it is
      // gone.
      const int found = sys::Ioctl(driver, directory.fd(), BTRFS_IOC_INO_LOOKUP_USER, sys::Arg(looked_up.get()));
      if (found == -EACCES || found == -ENOENT) continue;
      if (found < 0) return ErrnoStatus(-found, "look up a subvolume");
      if (!IsStateName(looked_up->name)) return std::string(looked_up->path) + looked_up->name;
    }
    if (listed == 0) return std::nullopt;
  }
  return Impossible("there are too many subvolumes in it");
}

// A snapshot shows an empty directory where another file system or subvolume begins; with --delete that would be the
// end of what it held.
absl::Status CheckNothingBegins(Driver* driver, const Directory& directory, const Subvolume& subvolume) {
  US_ASSIGN_OR_RETURN(const std::string path, PathOf(driver, directory.fd()));
  for (const Mount& mount : ReadMountTable()) {
    if (mount.point != path && LiesWithin(mount.point, path))
      return Impossible("something is mounted below it, at " + EscapeName(mount.point) +
                        ", and no snapshot would hold that");
  }
  US_ASSIGN_OR_RETURN(const std::optional<std::string> nested, NestedSubvolume(driver, directory, subvolume.top.get()));
  if (!nested) return absl::OkStatus();
  return Impossible("another subvolume begins below it, at " + EscapeName(*nested) +
                    ", and no snapshot would hold that");
}

// The snapshot under its name, locked; nullopt: somebody took it for a dead one.
absl::StatusOr<std::optional<TreeSnapshot>> TrySnapshot(Driver* driver, const DirectoryPtr& directory,
                                                        const Subvolume& subvolume, const RelPath& below,
                                                        std::string name) {
  const auto arguments = std::make_unique<btrfs_ioctl_vol_args_v2>();
  arguments->fd = subvolume.top.get();
  arguments->flags = BTRFS_SUBVOL_RDONLY;
  const int made = NameIoctl(driver, directory->fd(), BTRFS_IOC_SNAP_CREATE_V2, name, arguments.get());
  if (made == -EPERM || made == -EACCES)
    return Impossible("only the owner of its btrfs subvolume may make a snapshot of it");
  if (made == -EROFS) return Impossible("its file system is mounted read-only");
  US_RETURN_IF_ERROR(sys::SysStatus(made, "make a snapshot"));
  TreeSnapshot snapshot{.live = directory, .name = std::move(name), .top = nullptr, .directory = nullptr};
  absl::StatusOr<DirectoryPtr> top = OpenChild(driver, *directory, snapshot.name, DirectoryAccess::kRead);
  bool taken = !top.ok() ? StatusErrno(top.status()) == ENOENT
                         : sys::Flock(driver, (*top)->fd(), LOCK_EX | LOCK_NB) == -EWOULDBLOCK;
  // Who had taken it may have removed it before it was locked here.
  struct statx named {};
  taken = taken || (top.ok() && StatusErrno(StatAt(driver, directory->fd(), snapshot.name.c_str(), &named)) == ENOENT);
  if (taken) return std::nullopt;
  absl::Status opened = top.status();
  if (opened.ok()) {
    snapshot.top = *std::move(top);
    absl::StatusOr<DirectoryPtr> found = OpenBeneath(driver, *snapshot.top, below);
    opened = found.status();
    if (found.ok()) snapshot.directory = *std::move(found);
  }
  struct statx then {};
  struct statx now {};
  if (opened.ok()) opened = StatDescriptor(driver, snapshot.directory->fd(), &then);
  if (opened.ok()) opened = StatDescriptor(driver, directory->fd(), &now);
  if (opened.ok() && then.stx_ino == now.stx_ino) return snapshot;
  static_cast<void>(DestroySubvolume(driver, directory->fd(), snapshot.name));
  if (opened.ok()) opened = ErrnoStatus(ESTALE, "find the directory in its snapshot");
  return opened;
}

// A read-only snapshot of the subvolume that `dirfd` lies in, which is what TrySnapshot makes. A name proves nothing.
bool IsSnapshotOfHere(Driver* driver, int dirfd, int fd) {
  uint64_t flags = 0;
  if (sys::Ioctl(driver, fd, BTRFS_IOC_SUBVOL_GETFLAGS, sys::Arg(&flags)) != 0) return false;
  if ((flags & BTRFS_SUBVOL_RDONLY) == 0) return false;
  const auto here = std::make_unique<btrfs_ioctl_get_subvol_info_args>();
  const auto found = std::make_unique<btrfs_ioctl_get_subvol_info_args>();
  // Some kernels return 1 with what was asked for.
  return sys::Ioctl(driver, dirfd, BTRFS_IOC_GET_SUBVOL_INFO, sys::Arg(here.get())) >= 0 &&
         sys::Ioctl(driver, fd, BTRFS_IOC_GET_SUBVOL_INFO, sys::Arg(found.get())) >= 0 &&
         std::memcmp(here->uuid, found->parent_uuid, sizeof(here->uuid)) == 0;
}

// A subvolume under a temporary's name; invalid where it is none.
UniqueFd OpenNamedSubvolume(Driver* driver, int dirfd, const std::string& name) {
  const open_how how{.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, .mode = 0, .resolve = sys::kBeneath};
  UniqueFd fd(sys::Openat2(driver, dirfd, name.c_str(), how));
  struct statx stat {};
  const bool is_one = IsStateName(name) && fd.valid() && StatDescriptor(driver, fd.get(), &stat).ok() &&
                      stat.stx_ino == kSubvolumeRoot && IsBtrfs(driver, fd.get());
  return is_one ? std::move(fd) : UniqueFd();
}

}  // namespace

absl::StatusOr<TreeSnapshot> MakeTreeSnapshot(Driver* driver, const DirectoryPtr& directory, const Directory* limit,
                                              StateNamer* namer) {
  US_ASSIGN_OR_RETURN(const std::string type, FileSystemTypeName(driver, directory->fd()));
  if (!IsBtrfs(driver, directory->fd())) return Impossible("it lies on " + type + ", which has no snapshots");
  if (!directory->readable()) return Impossible("it may not be read");
  US_ASSIGN_OR_RETURN(const Subvolume subvolume, FindSubvolume(driver, *directory, limit));
  US_RETURN_IF_ERROR(CheckNothingBegins(driver, *directory, subvolume));
  US_ASSIGN_OR_RETURN(const std::string path, PathOf(driver, directory->fd()));
  if (!LiesWithin(path, subvolume.path)) return Impossible("it was moved meanwhile");
  const size_t top_length = subvolume.path == "/" ? 0 : subvolume.path.size();
  US_ASSIGN_OR_RETURN(const RelPath below,
                      RelPath::Parse(path.size() > top_length ? path.substr(top_length + 1) : std::string()));
  const KeptTime time(driver, directory->fd());
  const absl::Status removable = CheckRemovable(driver, directory->fd(), namer);
  absl::StatusOr<std::optional<TreeSnapshot>> made = std::optional<TreeSnapshot>();
  for (int tries = 0; removable.ok() && made.ok() && !made->has_value() && tries < kMaxTries; ++tries) {
    // The snapshot is to have the time that the directory had.
    time.Restore();
    made = TrySnapshot(driver, directory, subvolume, below, namer->Next());
  }
  time.Restore();
  US_RETURN_IF_ERROR(removable);
  US_RETURN_IF_ERROR(made.status());
  if (!made->has_value()) return ErrnoStatus(EAGAIN, "lock the snapshot");
  // What began below it while the snapshot was made may be missing in it.
  const absl::Status still = CheckNothingBegins(driver, *directory, subvolume);
  if (still.ok()) return **std::move(made);
  static_cast<void>(RemoveTreeSnapshot(driver, **std::move(made)));
  return still;
}

absl::Status RemoveTreeSnapshot(Driver* driver, TreeSnapshot snapshot) {
  const KeptTime time(driver, snapshot.live->fd());
  const int removed = DestroySubvolume(driver, snapshot.live->fd(), snapshot.name);
  if (removed == 0) time.Restore();
  return sys::SysStatus(removed == -ENOENT ? 0 : removed, "remove the snapshot");
}

bool IsTreeSnapshot(Driver* driver, int dirfd, const std::string& name) {
  const UniqueFd fd = OpenNamedSubvolume(driver, dirfd, name);
  return fd.valid() && IsSnapshotOfHere(driver, dirfd, fd.get());
}

SnapshotFate RemoveDeadTreeSnapshot(Driver* driver, int dirfd, const std::string& name) {
  const UniqueFd fd = OpenNamedSubvolume(driver, dirfd, name);
  if (!fd.valid()) return SnapshotFate::kNone;
  if (!IsSnapshotOfHere(driver, dirfd, fd.get())) {
    // Ours may be the empty one of CheckRemovable.
    const int removed = sys::Unlinkat(driver, dirfd, name.c_str(), AT_REMOVEDIR);
    return removed == 0 || removed == -ENOENT ? SnapshotFate::kRemoved : SnapshotFate::kForeign;
  }
  if (sys::Flock(driver, fd.get(), LOCK_EX | LOCK_NB) != 0) return SnapshotFate::kLives;
  return DestroySubvolume(driver, dirfd, name) == 0 ? SnapshotFate::kRemoved : SnapshotFate::kStays;
}

void RemoveDeadTreeSnapshots(Driver* driver, const Directory& directory) {
  if (!IsBtrfs(driver, directory.fd())) return;
  const absl::StatusOr<DirectoryPtr> opened = OpenBeneath(driver, directory, RelPath(), DirectoryAccess::kRead);
  if (!opened.ok()) return;
  std::vector<std::string> names;
  DirectoryReader reader(driver, (*opened)->fd());
  DirectoryItem item;
  while (reader.Next(&item) > 0) {
    if (IsStateName(item.name)) names.emplace_back(item.name);
  }
  const KeptTime time(driver, (*opened)->fd());
  bool removed = false;
  for (const std::string& name : names)
    removed = RemoveDeadTreeSnapshot(driver, (*opened)->fd(), name) == SnapshotFate::kRemoved || removed;
  if (removed) time.Restore();
}

}  // namespace uringsync
