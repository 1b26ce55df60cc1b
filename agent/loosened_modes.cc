#include "agent/loosened_modes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <string>
#include <utility>

#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"

namespace uringsync {

constexpr uint32_t kModeBits = 07777;

int ChangeModeOf(Driver* driver, int fd, uint32_t mode) {
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  return sys::Fchmodat(driver, AT_FDCWD, self.c_str(), mode);
}

int UnlinkInReadOnly(Driver* driver, int dirfd, const char* name) {
  const int refused = sys::Unlinkat(driver, dirfd, name, 0);
  struct statx found{};
  if (refused != -EACCES || !StatDescriptor(driver, dirfd, &found).ok()) return refused;
  const uint32_t mode = found.stx_mode & kModeBits;
  if ((mode & kOwnerWriteSearch) == kOwnerWriteSearch) return refused;
  if (ChangeModeOf(driver, dirfd, mode | kOwnerWriteSearch) < 0) return refused;
  const int removed = sys::Unlinkat(driver, dirfd, name, 0);
  ChangeModeOf(driver, dirfd, mode);
  return removed;
}

void LoosenedModes::Note(const RelPath& path, uint64_t inode, uint32_t before, uint32_t now) {
  std::lock_guard lock(mutex_);
  loosened_.push_back({path, inode, before, now});
}

bool LoosenedModes::Holds(const RelPath& path) const {
  std::lock_guard lock(mutex_);
  return std::ranges::any_of(loosened_, [&](const Loosened& directory) { return directory.path == path; });
}

void LoosenedModes::Restore(Driver* driver, DirectoryCache* directories) {
  std::vector<Loosened> loosened;
  {
    std::lock_guard lock(mutex_);
    loosened = std::exchange(loosened_, {});
  }
  // What refuses its owner shuts out what is below: whatever was loosened later lies no higher.
  for (const Loosened& directory : std::views::reverse(loosened)) {
    const absl::StatusOr<DirectoryPtr> open = directories->Get(directory.path);
    struct statx found{};
    if (!open.ok() || !StatDescriptor(driver, (*open)->fd(), &found).ok()) continue;  // it is gone
    if (found.stx_ino != directory.inode || (found.stx_mode & kModeBits) != directory.now) continue;
    ChangeModeOf(driver, (*open)->fd(), directory.before);
  }
}

}  // namespace uringsync
