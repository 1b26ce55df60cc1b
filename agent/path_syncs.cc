#include "agent/path_syncs.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

std::string DeviceName(const struct statx& found) {
  return std::to_string(found.stx_dev_major) + ":" + std::to_string(found.stx_dev_minor);
}

// Something else than a directory, or nothing, is there by now.
bool IsGone(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

}  // namespace

absl::StatusOr<DirectoryPtr> PathSyncs::Open(const RelPath& path) const {
  // Past the shard's cache, which should keep what files are written into.
  return DirectoryCache(driver_, root_, nullptr, 1, links_).Get(path);
}

absl::Status PathSyncs::SyncSystem(const RelPath& path) const {
  std::string wanted;
  for (RelPath above = path;; above = above.Parent()) {
    const absl::StatusOr<DirectoryPtr> directory = Open(above);
    struct statx found{};
    if (IsOutOfDescriptors(StatusErrno(directory.status()))) return directory.status();
    if (directory.ok()) {
      US_RETURN_IF_ERROR(StatDescriptor(driver_, (*directory)->fd(), &found));
      if (wanted.empty()) wanted = DeviceName(found);
      if ((*directory)->readable() && wanted == DeviceName(found))
        return sys::SysStatus(sys::Syncfs(driver_, (*directory)->fd()), "syncfs");
    }
    if (above.is_root()) break;
  }
  return absl::PermissionDeniedError("nothing of the file system may be opened for reading, so it cannot be synced");
}

Task<absl::Status> PathSyncs::SyncDirectoryAt(const RelPath* path, Outcome* outcome) {
  const SemaphoreUnits slot = co_await parallel_.Acquire(1);
  const absl::StatusOr<DirectoryPtr> directory = Open(*path);
  if (!directory.ok() && IsGone(StatusErrno(directory.status()))) {
    *outcome = Outcome::kGone;
    co_return absl::OkStatus();
  }
  if (!directory.ok()) co_return directory.status();
  if (!(*directory)->readable()) {
    *outcome = Outcome::kRefused;
    co_return absl::OkStatus();
  }
  co_return co_await SyncDirectory(driver_, **directory);
}

Task<absl::Status> PathSyncs::SyncFileAt(const RelPath* path, Outcome* outcome) {
  const SemaphoreUnits slot = co_await parallel_.Acquire(1);
  const absl::StatusOr<DirectoryPtr> directory = Open(path->Parent());
  const absl::StatusOr<SourceFile> file = directory.ok() ? OpenSourceFile(driver_, (*directory)->fd(), LeafName(*path))
                                                         : absl::StatusOr<SourceFile>(directory.status());
  if (file.ok()) co_return co_await SyncInPlace(driver_, file->fd.get());
  const int error = StatusErrno(file.status());
  if (IsOutOfDescriptors(error)) co_return file.status();
  *outcome = error == ENOENT || error == ENOTDIR ? Outcome::kGone : Outcome::kRefused;
  co_return absl::OkStatus();
}

Task<absl::Status> PathSyncs::SyncNow(Kind kind, RelPath path) {
  while (kind != Kind::kFileSystem) {
    Outcome outcome = Outcome::kDone;
    absl::Status synced;
    if (kind == Kind::kDirectory) {
      synced = co_await SyncDirectoryAt(&path, &outcome);
    } else {
      synced = co_await SyncFileAt(&path, &outcome);
    }
    const bool over = outcome == Outcome::kGone && (gone_ == Gone::kIsFine || path.is_root());
    if (outcome == Outcome::kDone || over) co_return synced;
    // All that may not be opened are synced together.
    if (kind == Kind::kFile) path = path.Parent();
    if (outcome == Outcome::kRefused) co_return co_await Sync(Kind::kFileSystem, path);
    if (kind == Kind::kDirectory) path = path.Parent();
    kind = Kind::kDirectory;
  }
  co_return SyncSystem(path);
}

// File systems go by their device, whatever directory of them was named.
PathSyncs::Key PathSyncs::KeyOf(Kind kind, const RelPath& path) const {
  if (kind != Kind::kFileSystem) return {kind, path.text()};
  const absl::StatusOr<DirectoryPtr> directory = Open(path);
  struct statx found{};
  const bool known = directory.ok() && StatDescriptor(driver_, (*directory)->fd(), &found).ok();
  return {kind, known ? DeviceName(found) : path.text()};
}

Task<absl::Status> PathSyncs::Sync(Kind kind, RelPath path) {
  const Key key = KeyOf(kind, path);
  std::unique_ptr<Rounds>& entry = rounds_[key];
  if (entry == nullptr) entry = std::make_unique<Rounds>();
  Rounds* const rounds = entry.get();
  // A round that runs now may have begun before the caller's change.
  const uint64_t wanted = rounds->begun + 1;
  ++rounds->users;
  absl::Status result;
  {
    const SemaphoreUnits turn = co_await rounds->turn.Acquire(1);
    // Turns come in order: nobody asks for a later round before all who want this one have had theirs.
    if (rounds->begun < wanted) {
      ++rounds->begun;
      rounds->last = co_await SyncNow(kind, path);
    }
    result = rounds->last;
  }
  if (--rounds->users == 0) rounds_.erase(key);
  co_return result;
}

}  // namespace uringsync
