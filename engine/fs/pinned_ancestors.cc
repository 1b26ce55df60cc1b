#include "engine/fs/pinned_ancestors.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr int kMostAncestors = 4096;

}  // namespace

PinnedAncestors::PinnedAncestors(const std::vector<std::string>& roots) {
  for (const std::string& root : roots) {
    UniqueFd at(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (int level = 0; at.valid() && level < kMostAncestors; ++level) {
      UniqueFd above(::openat(at.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      UniqueFd way(::openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
      struct statx found{};
      if (!way.valid() || ::statx(way.get(), "", AT_EMPTY_PATH, STATX_INO, &found) != 0) break;
      const Key key{found.stx_dev_major, found.stx_dev_minor, found.stx_ino};
      if (pinned_.contains(key)) break;  // the top is its own parent; another root's way up has the rest
      pinned_.emplace(key, Pinned{std::move(above), 0});
      at = std::move(way);
    }
  }
}

absl::StatusOr<std::shared_ptr<void>> PinnedAncestors::Share(const struct statx& directory, int* descriptor) {
  const Key key{directory.stx_dev_major, directory.stx_dev_minor, directory.stx_ino};
  std::lock_guard lock(mutex_);
  const auto found = pinned_.find(key);
  if (found == pinned_.end() || !found->second.fd.valid()) return absl::NotFoundError("no pinned directory");
  *descriptor = found->second.fd.get();
  // All sessions of this process share one lock: it is the descriptor's.
  if (found->second.users == 0 && ::flock(*descriptor, LOCK_SH | LOCK_NB) != 0) return ErrnoStatus(errno, "flock");
  ++found->second.users;
  return std::shared_ptr<void>(this, [key](void* self) { static_cast<PinnedAncestors*>(self)->Drop(key); });
}

void PinnedAncestors::Drop(const Key& key) {
  std::lock_guard lock(mutex_);
  Pinned& pinned = pinned_.at(key);
  if (--pinned.users == 0) ::flock(pinned.fd.get(), LOCK_UN);
}

}  // namespace uringsync
