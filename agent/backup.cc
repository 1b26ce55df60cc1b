#include "agent/backup.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/atomic_file.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

constexpr uint32_t kOwnerAll = 0700;
constexpr uint32_t kAllModeBits = 07777;
constexpr uint32_t kSameId = UINT32_MAX;  // chown(2) leaves it
// `name` taken by a former backup is freed and taken again; somebody else may be as quick.
constexpr int kMaxTries = 3;

// Errors of linkat that say that this object gets no second link here.
bool HasNoLinks(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == EMLINK || error == ENOSYS;
}

absl::Status BackupStatus(int error) {
  if (error == EXDEV)
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "the backup directory lies on another file system");
  return ErrnoStatus(error, "backup");
}

bool SameInode(Driver* driver, int dirfd, const char* name, const Entry& entry) {
  struct statx found{};
  return StatAt(driver, dirfd, name, &found).ok() && CompareIdentity(IdentityOf(entry), found) == IdentityMatch::kSame;
}

}  // namespace

BackupKeeper::BackupKeeper(Driver* driver, DirectoryCache* directories, const BackupTarget& target, bool sync)
    : driver_(driver),
      sources_(directories),
      suffix_(target.suffix),
      below_(target.below),
      sync_(sync),
      owner_(target.owner),
      group_(target.group),
      targets_(driver, target.base != nullptr ? target.base : directories->root(), nullptr, kDirectories),
      beside_(target.base == nullptr) {}

absl::StatusOr<DirectoryPtr> BackupKeeper::TargetFor(const RelPath& path) {
  if (beside_) return sources_->Get(path.Parent());
  RelPath directory = below_;
  const RelPath above = path.Parent();
  const std::string& parent = above.text();
  for (size_t start = 0; start < parent.size();) {
    const size_t end = std::min(parent.find('/', start), parent.size());
    directory = directory.Child(std::string_view(parent).substr(start, end - start));
    start = end + 1;
  }
  absl::StatusOr<DirectoryPtr> found = targets_.Get(directory);
  if (StatusErrno(found.status()) == ENOENT) found = MakeTarget(directory);
  // "Not found" is what callers are told of an object that is gone already.
  if (absl::IsNotFound(found.status()))
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "the backup directory cannot be made: what it was to lie in is gone");
  if (found.ok() && sync_) touched_.insert(directory.text());
  return found;
}

// Those of the destination's own directories look like them; what is above, the backup directory itself, is an ordinary
// one.
absl::StatusOr<DirectoryPtr> BackupKeeper::MakeTarget(const RelPath& directory) {
  absl::StatusOr<DirectoryPtr> parent = targets_.Get(directory.Parent());
  if (StatusErrno(parent.status()) == ENOENT && !directory.Parent().is_root()) parent = MakeTarget(directory.Parent());
  if (!parent.ok()) return parent;
  if (sync_) touched_.insert(directory.Parent().text());
  const bool own = directory.depth() <= below_.depth();
  const int made = sys::Mkdirat(driver_, (*parent)->fd(), LeafName(directory), own ? 0777 : kOwnerAll);
  if (made < 0 && made != -EEXIST) return ErrnoStatus(-made, "mkdir");
  absl::StatusOr<DirectoryPtr> opened = targets_.Get(directory);
  if (!opened.ok() || own || made < 0) return opened;
  const std::string& text = directory.text();
  const size_t skipped = below_.is_root() ? 0 : below_.text().size() + 1;
  absl::StatusOr<RelPath> path = RelPath::Parse(std::string_view(text).substr(skipped));
  absl::StatusOr<DirectoryPtr> like = path.ok() ? sources_->Get(*path) : absl::StatusOr<DirectoryPtr>(path.status());
  struct statx stat{};
  if (!like.ok() || !StatDescriptor(driver_, (*like)->fd(), &stat).ok()) return opened;
  const Made made_now{directory, *std::move(path), stat.stx_uid, stat.stx_gid, stat.stx_mode & kAllModeBits};
  static_cast<void>(Adopt(**opened, made_now, kOwnerAll));
  if (made_.size() < kMaxMade) made_.push_back(made_now);
  return opened;
}

absl::Status BackupKeeper::Adopt(const Directory& directory, const Made& made, uint32_t more_mode) {
  // Whoever may not give it away keeps it; the mode stays closed to others then.
  const std::string self = "/proc/self/fd/" + std::to_string(directory.fd());
  if (owner_ || group_) {
    const uint32_t uid = owner_ ? made.uid : kSameId;
    const uint32_t gid = group_ ? made.gid : kSameId;
    US_RETURN_IF_ERROR(sys::SysStatus(sys::Fchownat(driver_, AT_FDCWD, self.c_str(), uid, gid, 0), "fchownat"));
  }
  return sys::SysStatus(sys::Fchmodat(driver_, AT_FDCWD, self.c_str(), made.mode | more_mode), "fchmodat");
}

void BackupKeeper::FinishDirectories() {
  // Children first: a parent's mode may shut this process out.
  for (; !made_.empty(); made_.pop_back()) {
    Made& made = made_.back();
    const absl::StatusOr<DirectoryPtr> directory = targets_.Get(made.directory);
    if (!directory.ok()) continue;
    const absl::StatusOr<DirectoryPtr> like = sources_->Get(made.like);
    struct statx stat{};
    if (like.ok() && StatDescriptor(driver_, (*like)->fd(), &stat).ok()) {
      made.uid = stat.stx_uid;
      made.gid = stat.stx_gid;
      made.mode = stat.stx_mode & kAllModeBits;
    }
    static_cast<void>(Adopt(**directory, made, 0));
  }
}

absl::Status BackupKeeper::MakeRoom(const Directory& directory, const char* name) {
  int result = sys::Unlinkat(driver_, directory.fd(), name, 0);
  // As with rsync, only an empty directory makes way.
  if (result == -EISDIR || result == -EPERM) result = sys::Unlinkat(driver_, directory.fd(), name, AT_REMOVEDIR);
  return result == -ENOENT ? absl::OkStatus() : sys::SysStatus(result, "backup");
}

absl::Status BackupKeeper::Keep(const RelPath& path, const Entry& existing) {
  absl::StatusOr<DirectoryPtr> parent = sources_->Get(path.Parent());
  if (!parent.ok()) return parent.status();
  const absl::Status there = VerifyExisting(driver_, (*parent)->fd(), LeafName(path), existing);
  if (absl::IsNotFound(there)) return absl::OkStatus();
  US_RETURN_IF_ERROR(there);
  US_ASSIGN_OR_RETURN(const DirectoryPtr target, TargetFor(path));
  const std::string name = std::string(path.name()) + suffix_;
  int linked = -EEXIST;
  for (int tries = 0; linked == -EEXIST && tries < kMaxTries; ++tries) {
    // Where there are no links at all the object moves, which is told of nobody: its name is free for a moment.
    linked = target->file_system(driver_).Lacks(Lack::kHardLinks)
                 ? -EPERM
                 : sys::Linkat(driver_, (*parent)->fd(), LeafName(path), target->fd(), name.c_str(), 0);
    if (linked != -EEXIST) break;
    // Left by a run that ended between this and the rename.
    if (SameInode(driver_, target->fd(), name.c_str(), existing)) return absl::OkStatus();
    US_RETURN_IF_ERROR(MakeRoom(*target, name.c_str()));
  }
  if (HasNoLinks(-linked)) return Move(path, existing);
  if (linked < 0) return BackupStatus(-linked);
  if (SameInode(driver_, target->fd(), name.c_str(), existing)) return absl::OkStatus();
  static_cast<void>(sys::Unlinkat(driver_, target->fd(), name.c_str(), 0));
  return MakeStatus(absl::StatusCode::kAborted, "was replaced since it was planned");
}

absl::Status BackupKeeper::Move(const RelPath& path, const Entry& existing) {
  absl::StatusOr<DirectoryPtr> parent = sources_->Get(path.Parent());
  if (!parent.ok()) return parent.status();
  US_ASSIGN_OR_RETURN(const DirectoryPtr target, TargetFor(path));
  const std::string name = std::string(path.name()) + suffix_;
  const absl::Status there = VerifyExisting(driver_, (*parent)->fd(), LeafName(path), existing);
  if (absl::IsNotFound(there)) return absl::OkStatus();
  US_RETURN_IF_ERROR(there);
  int moved = sys::Renameat2(driver_, (*parent)->fd(), LeafName(path), target->fd(), name.c_str(), 0);
  if (moved == -EISDIR) {
    US_RETURN_IF_ERROR(MakeRoom(*target, name.c_str()));
    moved = sys::Renameat2(driver_, (*parent)->fd(), LeafName(path), target->fd(), name.c_str(), 0);
  }
  if (moved < 0) return BackupStatus(-moved);
  // rename(2) of one name of an inode over another does nothing.
  if (existing.nlink > 1 && SameInode(driver_, (*parent)->fd(), LeafName(path), existing))
    return sys::SysStatus(sys::Unlinkat(driver_, (*parent)->fd(), LeafName(path), 0), "unlink");
  return absl::OkStatus();
}

Task<absl::Status> BackupKeeper::Sync() {
  const std::unordered_set<std::string> touched = std::exchange(touched_, {});
  absl::Status first;
  for (const std::string& text : touched) {
    absl::StatusOr<RelPath> path = RelPath::Parse(text);
    if (!path.ok()) continue;
    absl::StatusOr<DirectoryPtr> directory = targets_.Get(*path);
    absl::Status synced = directory.status();
    if (synced.ok()) synced = co_await SyncDirectory(driver_, **directory);
    if (first.ok()) first = synced;
  }
  co_return first;
}

}  // namespace uringsync
