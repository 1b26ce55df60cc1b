#include "engine/fs/scratch_tree.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// Names that are removed between two readings of a directory: a file system may skip entries when they go while it is
// read.
constexpr size_t kNamesAtOnce = 1024;
constexpr int kMaxNameAttempts = 16;

absl::Status RemoveAny(Driver* driver, int dirfd, const std::string& name, int depth);

UniqueFd OpenList(Driver* driver, int dirfd, const std::string& name) {
  const open_how how{
      .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, .mode = 0, .resolve = sys::kBeneath | RESOLVE_NO_XDEV};
  return UniqueFd(sys::Openat2(driver, dirfd, name.c_str(), how));
}

absl::Status RemoveContents(Driver* driver, int fd, int depth) {
  DirectoryReader reader(driver, fd);
  while (true) {
    US_RETURN_IF_ERROR(sys::SysStatus(reader.SeekToStart(), "lseek"));
    std::vector<std::string> names;
    DirectoryItem item;
    int more = 0;
    while (names.size() < kNamesAtOnce && (more = reader.Next(&item)) > 0) names.emplace_back(item.name);
    US_RETURN_IF_ERROR(sys::SysStatus(more, "getdents"));
    if (names.empty()) return absl::OkStatus();
    for (const std::string& name : names) US_RETURN_IF_ERROR(RemoveAny(driver, fd, name, depth));
  }
}

absl::Status RemoveAny(Driver* driver, int dirfd, const std::string& name, int depth) {
  const int removed = sys::Unlinkat(driver, dirfd, name.c_str(), 0);
  if (removed == 0 || removed == -ENOENT) return absl::OkStatus();
  if (removed != -EISDIR && removed != -EPERM) return ErrnoStatus(-removed, "unlink");
  if (depth == 0) return ErrnoStatus(ENOTEMPTY, "rmdir");
  const UniqueFd fd = OpenList(driver, dirfd, name);
  // EPERM of a file that may not be removed stays what it was.
  if (!fd.valid()) return ErrnoStatus(removed == -EPERM ? EPERM : EACCES, "open directory");
  US_RETURN_IF_ERROR(RemoveContents(driver, fd.get(), depth - 1));
  return sys::SysStatus(sys::Unlinkat(driver, dirfd, name.c_str(), AT_REMOVEDIR), "rmdir");
}

bool IsShardName(std::string_view name) {
  constexpr std::string_view kPrefix = "shard-";
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         name.find_first_not_of("0123456789", kPrefix.size()) == std::string_view::npos;
}

bool HoldsOnlyFiles(Driver* driver, int fd) {
  DirectoryReader reader(driver, fd);
  DirectoryItem item;
  struct statx stat;
  int more = 0;
  while ((more = reader.Next(&item)) > 0) {
    const absl::Status looked = StatAt(driver, fd, std::string(item.name).c_str(), &stat);
    // Its own session may be removing it.
    if (absl::IsNotFound(looked)) continue;
    if (!looked.ok() || !S_ISREG(stat.stx_mode)) return false;
  }
  return more == 0;
}

// By its mode and all that is in it.
bool IsScratchTree(Driver* driver, int dirfd, const std::string& name) {
  const UniqueFd fd = OpenList(driver, dirfd, name);
  struct statx stat;
  if (!fd.valid() || !StatDescriptor(driver, fd.get(), &stat).ok() || (stat.stx_mode & 07777) != 0700) return false;
  DirectoryReader reader(driver, fd.get());
  DirectoryItem item;
  int more = 0;
  while ((more = reader.Next(&item)) > 0) {
    if (!IsShardName(item.name)) return false;
    const UniqueFd shard = OpenList(driver, fd.get(), std::string(item.name));
    if (!shard.valid() || !HoldsOnlyFiles(driver, shard.get())) return false;
  }
  return more == 0;
}

}  // namespace

absl::StatusOr<ScratchTree> MakeScratchTree(Driver* driver, const Directory& parent, StateNamer* namer) {
  ScratchTree tree;
  int made = -EEXIST;
  for (int attempt = 0; made == -EEXIST && attempt < kMaxNameAttempts; ++attempt) {
    tree.name = namer->Next();
    made = sys::Mkdirat(driver, parent.fd(), tree.name.c_str(), 0700);
  }
  US_RETURN_IF_ERROR(sys::SysStatus(made, "mkdir"));
  absl::StatusOr<DirectoryPtr> opened = OpenChild(driver, parent, tree.name, DirectoryAccess::kRead);
  if (!opened.ok()) {
    static_cast<void>(sys::Unlinkat(driver, parent.fd(), tree.name.c_str(), AT_REMOVEDIR));
    return opened.status();
  }
  tree.directory = *std::move(opened);
  return tree;
}

absl::Status RemoveStateTree(Driver* driver, int dirfd, const std::string& name) {
  if (!IsStateName(name)) std::abort();
  return RemoveAny(driver, dirfd, name, kMaxScratchDepth);
}

absl::Status RemoveDeadState(Driver* driver, int dirfd, const std::string& name) {
  if (!IsStateName(name)) std::abort();
  const int unlinked = sys::Unlinkat(driver, dirfd, name.c_str(), 0);
  if (unlinked == 0 || unlinked == -ENOENT) return absl::OkStatus();
  if (unlinked != -EISDIR && unlinked != -EPERM) return ErrnoStatus(-unlinked, "unlink");
  const int removed = sys::Unlinkat(driver, dirfd, name.c_str(), AT_REMOVEDIR);
  if (removed == 0 || removed == -ENOENT) return absl::OkStatus();
  if (removed == -ENOTDIR) return ErrnoStatus(-unlinked, "unlink");
  if (removed != -ENOTEMPTY && removed != -EEXIST) return ErrnoStatus(-removed, "rmdir");
  if (!IsScratchTree(driver, dirfd, name)) return ErrnoStatus(ENOTEMPTY, "rmdir");
  return RemoveStateTree(driver, dirfd, name);
}

bool IsForeignDirectory(Driver* driver, int dirfd, const std::string& name) {
  const UniqueFd fd = OpenList(driver, dirfd, name);
  if (!fd.valid()) return false;
  DirectoryReader reader(driver, fd.get());
  DirectoryItem item;
  return reader.Next(&item) > 0 && !IsScratchTree(driver, dirfd, name);
}

}  // namespace uringsync
