#include "engine/fs/replace.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <optional>

#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/file.h"
#include "engine/fs/scratch_tree.h"
#include "engine/fs/state_name.h"
#include "engine/fs/syscalls.h"
#include "engine/fs/tree_snapshot.h"

namespace uringsync {
namespace {

// Somebody who renames over our file between two of our calls, each time.
constexpr int kMaxTurns = 8;

uint64_t DigestOf(FileType type, uint64_t inode, uint64_t size_bytes, const FileTime& mtime) {
  const bool regular = type == FileType::kRegular;
  const bool timed = type != FileType::kDirectory;
  const std::array<uint64_t, 5> fields = {static_cast<uint64_t>(type), inode, regular ? size_bytes : 0,
                                          timed ? static_cast<uint64_t>(mtime.seconds) : 0,
                                          timed ? static_cast<uint64_t>(mtime.nanoseconds) : 0};
  return XXH3_64bits(fields.data(), sizeof(fields));
}

uint64_t DigestOf(const struct statx& stat) {
  // Types are few; one that there is none for is nobody's.
  const std::optional<FileType> type = FileTypeFromMode(stat.stx_mode);
  return type ? DigestOf(*type, stat.stx_ino, stat.stx_size, {stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec}) : 0;
}

int Exchange(Driver* driver, int dirfd, const std::string& one, const char* other) {
  return sys::Renameat2(driver, dirfd, one.c_str(), dirfd, other, RENAME_EXCHANGE);
}

// Puts back what came out of `name` and was not meant.
ReplaceResult PutBack(Driver* driver, int dirfd, const std::string& temporary, uint64_t own_inode, const char* name) {
  for (int turn = 0; turn < kMaxTurns; ++turn) {
    const int result = Exchange(driver, dirfd, temporary, name);
    if (result == -ENOENT) {
      // Our object was removed from there meanwhile; what was there before was not.
      static_cast<void>(sys::Renameat2(driver, dirfd, temporary.c_str(), dirfd, name, RENAME_NOREPLACE));
      return ReplaceResult::kConflictKept;
    }
    if (result < 0) return ReplaceResult::kConflictKept;
    struct statx out;
    if (!StatAt(driver, dirfd, temporary.c_str(), &out).ok()) return ReplaceResult::kConflictKept;
    if (out.stx_ino == own_inode) return ReplaceResult::kConflict;
    // Somebody has put a third object over ours: that is the newest one, and gets its name again.
  }
  return ReplaceResult::kConflictKept;
}

// The name of the object with `inode` in `directory`.
std::optional<std::string> FindByInode(Driver* driver, const Directory& directory, uint64_t inode) {
  if (!directory.readable()) return std::nullopt;
  DirectoryReader reader(driver, directory.fd());
  if (reader.SeekToStart() < 0) return std::nullopt;
  DirectoryItem item;
  while (reader.Next(&item) > 0) {
    struct statx stat;
    const std::string name(item.name);
    if (item.inode == inode && !IsStateName(name) && StatAt(driver, directory.fd(), name.c_str(), &stat).ok() &&
        stat.stx_ino == inode)
      return name;
  }
  return std::nullopt;
}

}  // namespace

uint64_t IdentityDigest(const Entry& entry) {
  return DigestOf(entry.type, entry.id.inode, entry.size_bytes, entry.mtime);
}

Replacement ReplaceByExchange(Driver* driver, const Directory& from, const Directory& directory, std::string* temporary,
                              uint64_t own_inode, const char* name, const Entry& existing) {
  FileSystemFacts& system = directory.file_system(driver);
  if (system.Lacks(Lack::kExchange)) return {ReplaceResult::kCannotExchange, absl::OkStatus()};
  const int dirfd = directory.fd();
  std::string marked = WithReplaceMark(*temporary, {own_inode, IdentityDigest(existing)});
  int result = sys::Renameat2(driver, from.fd(), temporary->c_str(), dirfd, marked.c_str(), 0);
  if (result < 0) return {ReplaceResult::kReplaced, ErrnoStatus(-result, "rename")};
  *temporary = std::move(marked);
  PassKillPoint(KillPoint::kPublishMarked);
  result = Exchange(driver, dirfd, *temporary, name);
  PassKillPoint(KillPoint::kPublishExchanged);
  if (result == -EINVAL || result == -ENOSYS) {
    system.Tell(Lack::kExchange);
    return {ReplaceResult::kCannotExchange, absl::OkStatus()};
  }
  if (result == -ENOENT) return {ReplaceResult::kNothingThere, absl::OkStatus()};
  if (result < 0) return {ReplaceResult::kReplaced, ErrnoStatus(-result, "rename")};
  struct statx out;
  const absl::Status looked = StatAt(driver, dirfd, temporary->c_str(), &out);
  if (absl::IsNotFound(looked)) return {};
  const IdentityMatch match = looked.ok() ? CompareIdentity(IdentityOf(existing), out) : IdentityMatch::kOther;
  if (match == IdentityMatch::kSame) {
    result = sys::Unlinkat(driver, dirfd, temporary->c_str(), 0);
    if (result == 0 || result == -ENOENT) return {};
    // It is known by its name, and goes with the next run.
    return {ReplaceResult::kReplaced, ErrnoStatus(-result, "unlink")};
  }
  return {PutBack(driver, dirfd, *temporary, own_inode, name), absl::OkStatus(), match == IdentityMatch::kModified};
}

StrayFate RecoverStray(Driver* driver, const Directory& directory, const std::string& name) {
  const std::optional<ReplaceMark> mark = ReplaceMarkOf(name);
  const int dirfd = directory.fd();
  const SnapshotFate snapshot = mark ? SnapshotFate::kNone : RemoveDeadTreeSnapshot(driver, dirfd, name);
  if (snapshot == SnapshotFate::kForeign) return StrayFate::kForeign;
  if (snapshot != SnapshotFate::kNone)
    return snapshot == SnapshotFate::kRemoved ? StrayFate::kRemoved : StrayFate::kFailed;
  if (!mark) {
    const absl::Status removed = RemoveDeadState(driver, dirfd, name);
    if (StatusErrno(removed) == ENOTEMPTY) return StrayFate::kForeign;
    return removed.ok() ? StrayFate::kRemoved : StrayFate::kFailed;
  }
  struct statx stat;
  const absl::Status looked = StatAt(driver, dirfd, name.c_str(), &stat);
  if (absl::IsNotFound(looked)) return StrayFate::kRemoved;
  if (!looked.ok()) return StrayFate::kFailed;
  auto remove = [&] {
    return sys::Unlinkat(driver, dirfd, name.c_str(), 0) == 0 ? StrayFate::kRemoved : StrayFate::kFailed;
  };
  if (stat.stx_ino == mark->own_inode || DigestOf(stat) == mark->replaced) return remove();
  // Somebody else's object, displaced by a process that died before it could put it back.
  const std::optional<std::string> place = FindByInode(driver, directory, mark->own_inode);
  if (!place || Exchange(driver, dirfd, name, place->c_str()) < 0) return StrayFate::kForeign;
  if (!StatAt(driver, dirfd, name.c_str(), &stat).ok()) return StrayFate::kRemoved;
  return stat.stx_ino == mark->own_inode ? remove() : StrayFate::kForeign;
}

bool IsForeignState(Driver* driver, const Directory& directory, const std::string& name) {
  const int dirfd = directory.fd();
  struct statx stat;
  if (!StatAt(driver, dirfd, name.c_str(), &stat).ok()) return false;
  if (const std::optional<ReplaceMark> mark = ReplaceMarkOf(name))
    return stat.stx_ino != mark->own_inode && DigestOf(stat) != mark->replaced;
  if (!S_ISDIR(stat.stx_mode) || IsTreeSnapshot(driver, dirfd, name)) return false;
  return IsForeignDirectory(driver, dirfd, name);
}

}  // namespace uringsync
