#include "engine/fs/scratch_tree.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdlib>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// Names that are removed between two readings of a directory: a file system may skip entries when they go while it is
// read.
constexpr size_t kNamesAtOnce = 1024;
constexpr int kMaxNameAttempts = 16;

absl::Status RemoveAny(Driver* driver, int dirfd, const std::string& name, int depth);

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
  const open_how how{
      .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, .mode = 0, .resolve = sys::kBeneath | RESOLVE_NO_XDEV};
  const UniqueFd fd(sys::Openat2(driver, dirfd, name.c_str(), how));
  // EPERM of a file that may not be removed stays what it was.
  if (!fd.valid()) return ErrnoStatus(removed == -EPERM ? EPERM : EACCES, "open directory");
  US_RETURN_IF_ERROR(RemoveContents(driver, fd.get(), depth - 1));
  return sys::SysStatus(sys::Unlinkat(driver, dirfd, name.c_str(), AT_REMOVEDIR), "rmdir");
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

}  // namespace uringsync
