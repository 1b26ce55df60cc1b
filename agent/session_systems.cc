#include "agent/session_systems.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "engine/fs/atomic_file.h"
#include "engine/fs/file.h"
#include "engine/fs/state_name.h"
#include "engine/fs/syscalls.h"
#include "proto/convert.h"

namespace uringsync {
namespace {

// Neither the owner of what root makes, nor likely to be that of anything.
constexpr uint32_t kOtherId = 65534;

bool KeepsOwnersAndSyncs(std::string_view file_system) {
  constexpr std::array<std::string_view, 9> kKnown = {"ext4", "xfs",      "btrfs", "tmpfs",  "ramfs",
                                                      "f2fs", "bcachefs", "zfs",   "overlay"};
  return std::ranges::find(kKnown, file_system) != kKnown.end();
}

bool MayGiveAway(Driver* driver, int fd) {
  const int given = sys::Fchownat(driver, fd, "", kOtherId, kOtherId, AT_EMPTY_PATH);
  return given != -EPERM && given != -EOPNOTSUPP && given != -ENOSYS;
}

// False where the file system says no to somebody who may. That nothing can be made here shows soon enough; what was
// made has to go again.
absl::StatusOr<bool> KeepsOwners(Driver* driver, const DirectoryPtr& directory, uint64_t session_tag) {
  const UniqueFd unnamed(sys::Openat(driver, directory->fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (unnamed.valid()) return MayGiveAway(driver, unnamed.get());
  struct statx before {};
  const bool known = StatDescriptor(driver, directory->fd(), &before).ok();
  StateNamer namer(session_tag);
  bool may = true;
  {
    absl::StatusOr<StagedObject> file = StagedObject::CreateFile(driver, directory, &namer);
    if (!file.ok()) return true;
    may = MayGiveAway(driver, file->fd());
    US_RETURN_IF_ERROR(file->Discard());
  }
  // A name that came and went has moved the directory's time, which is about to be compared.
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = before.stx_mtime.tv_sec, .tv_nsec = before.stx_mtime.tv_nsec}};
  if (known) sys::Utimensat(driver, directory->fd(), ".", times, AT_SYMLINK_NOFOLLOW);
  return may;
}

}  // namespace

SessionSystems::SessionSystems(std::function<void(std::string)> later)
    : later_(std::move(later)),
      systems_(std::make_shared<FileSystems>([this](std::string text) { Tell(std::move(text)); })) {}

void SessionSystems::Begin(Driver* driver, const SessionRoot& root) {
  if (root.directory == nullptr) return;
  systems_->SetRoot(driver, root.directory->fd(), root.full_path);
  Add(root.directory);
  if (root.parent != nullptr) Add(root.parent);
}

void SessionSystems::Tell(std::string text) {
  {
    std::lock_guard lock(mutex_);
    if (!open_) {
      if (early_.size() < kMaxNotices) early_.push_back(std::move(text));
      return;
    }
  }
  later_(std::move(text));
}

std::vector<std::string> SessionSystems::TakeEarly() {
  std::lock_guard lock(mutex_);
  open_ = true;
  return std::exchange(early_, {});
}

Task<absl::Status> ProbeDestination(Driver* driver, const SessionRoot& root, const OpenSession& open, bool durable,
                                    SessionOpened* opened) {
  if (root.directory == nullptr || KeepsOwnersAndSyncs(opened->file_system)) co_return absl::OkStatus();
  const bool asked = (open.selection.owner || open.selection.group) && opened->can_chown;
  bool keeps = true;
  if (asked) {
    US_CO_ASSIGN_OR_RETURN(keeps, KeepsOwners(driver, root.directory, SessionTag(open.session)));
  }
  if (!keeps) {
    root.directory->file_system(driver).Tell(Lack::kOwners);
    opened->can_chown = false;
    opened->groups.clear();
  }
  // Refusals are told; whatever else goes wrong does so again when there is something to sync.
  if (!durable || !root.directory->readable()) co_return absl::OkStatus();
  const absl::Status tried = co_await SyncDirectory(driver, *root.directory);
  tried.IgnoreError();
  co_return absl::OkStatus();
}

}  // namespace uringsync
