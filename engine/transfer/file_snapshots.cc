#include "engine/transfer/file_snapshots.h"

#include <fcntl.h>
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/clone.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"
#include "engine/transfer/rest_check.h"

namespace uringsync {
namespace {

void TakeBack(statx_timestamp* stamp) {
  if (stamp->tv_nsec > 0) {
    --stamp->tv_nsec;
  } else {
    --stamp->tv_sec;
    stamp->tv_nsec = 999'999'999;
  }
}

UniqueFd OpenClone(Driver* driver, const Directory& directory) {
  return UniqueFd(sys::Openat(driver, directory.fd(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
}

// btrfs clones between files that are both copied on write, or both not (chattr +C: databases, machines' disks).
void TakeOverNoCopyOnWrite(Driver* driver, int from, int to) {
  int flags = 0;
  int own = 0;
  if (sys::Ioctl(driver, from, FS_IOC_GETFLAGS, sys::Arg(&flags)) != 0) return;
  if (sys::Ioctl(driver, to, FS_IOC_GETFLAGS, sys::Arg(&own)) != 0 || (own & FS_NOCOW_FL) == (flags & FS_NOCOW_FL))
    return;
  own = (own & ~FS_NOCOW_FL) | (flags & FS_NOCOW_FL);
  static_cast<void>(sys::Ioctl(driver, to, FS_IOC_SETFLAGS, sys::Arg(&own)));
}

absl::StatusOr<UniqueFd> CloneInto(Driver* driver, const Directory& directory, int fd) {
  UniqueFd clone = OpenClone(driver, directory);
  US_RETURN_IF_ERROR(sys::SysStatus(clone.get(), "make an unnamed file"));
  TakeOverNoCopyOnWrite(driver, fd, clone.get());
  US_RETURN_IF_ERROR(sys::SysStatus(CloneFile(driver, clone.get(), fd), "clone"));
  return clone;
}

}  // namespace

absl::Status ProbeFileSnapshots(Driver* driver, const Directory& directory) {
  const UniqueFd from = OpenClone(driver, directory);
  US_RETURN_IF_ERROR(sys::SysStatus(from.get(), "make an unnamed file"));
  return CloneInto(driver, directory, from.get()).status();
}

FileSnapshotPtr FileSnapshots::Find(const FileId& id) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(id);
  if (found == kept_.end()) return nullptr;
  ages_.splice(ages_.begin(), ages_, found->second.age);
  return found->second.snapshot;
}

FileSnapshotPtr FileSnapshots::Keep(const FileId& id, FileSnapshotPtr snapshot) {
  const std::lock_guard lock(mutex_);
  const auto [place, is_new] = kept_.try_emplace(id);
  if (!is_new) return place->second.snapshot;
  ages_.push_front(id);
  place->second = {std::move(snapshot), 0, ages_.begin()};
  FileSnapshotPtr kept = place->second.snapshot;
  place->second.left = kept->stat.stx_size;
  if (kept_.size() > capacity_) {
    kept_.erase(ages_.back());
    ages_.pop_back();
  }
  return kept;
}

void FileSnapshots::WasRead(const FileId& id, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(id);
  if (found == kept_.end()) return;
  Kept& kept = found->second;
  kept.left -= std::min(kept.left, bytes);
  if (kept.left > 0) return;
  ages_.erase(kept.age);
  kept_.erase(found);
}

Task<absl::StatusOr<FileSnapshotPtr>> FileSnapshots::Get(Driver* driver, int fd, DirectoryPtr parent, Wanted wanted) {
  if (FileSnapshotPtr found = Find(wanted.file.id); found != nullptr) co_return found;
  auto snapshot = std::make_shared<FileSnapshot>();
  US_CO_RETURN_IF_ERROR(StatDescriptor(driver, fd, &snapshot->stat));
  // A file at rest gets the time that it has.
  if (MayKeepItsTimes(snapshot->stat)) {
    co_await AwaitTicks(driver);
    US_CO_RETURN_IF_ERROR(StatDescriptor(driver, fd, &snapshot->stat));
  }
  const bool fresh = MayKeepItsTimes(snapshot->stat);
  absl::StatusOr<UniqueFd> clone = CloneInto(driver, *parent, fd);
  if (!clone.ok() && root_ != nullptr && root_ != parent) {
    absl::StatusOr<UniqueFd> elsewhere = CloneInto(driver, *root_, fd);
    if (elsewhere.ok()) clone = std::move(elsewhere);
  }
  if (!clone.ok()) co_return clone.status();
  snapshot->fd = *std::move(clone);
  struct statx cloned {};
  struct statx now {};
  US_CO_RETURN_IF_ERROR(StatDescriptor(driver, snapshot->fd.get(), &cloned));
  US_CO_RETURN_IF_ERROR(StatDescriptor(driver, fd, &now));
  const bool moved = !LooksUntouched(snapshot->stat, now) || cloned.stx_size != snapshot->stat.stx_size;
  snapshot->stat.stx_size = cloned.stx_size;
  snapshot->stat.stx_blocks = cloned.stx_blocks;
  // What came between the look and the clone is in the clone, and may have left the time.
  if (fresh || moved) TakeBack(&snapshot->stat.stx_mtime);
  const bool as_expected = CompareIdentity(wanted.file, snapshot->stat) == IdentityMatch::kSame;
  if (as_expected && wanted.whole) co_return snapshot;
  snapshot->original = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!snapshot->original.valid()) co_return ErrnoStatus(errno, "dup");
  co_return Keep(wanted.file.id, std::move(snapshot));
}

}  // namespace uringsync
