#include "engine/fs/file_system_facts.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>

#include <utility>

#include "engine/base/escape.h"
#include "engine/fs/file.h"
#include "engine/fs/file_system.h"
#include "engine/fs/mount_table.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// What the user loses; null where something as good is done instead, or somebody else tells it.
const char* MeaningOf(Lack lack) {
  switch (lack) {
    case Lack::kExchange:
      return "two names cannot change places (RENAME_EXCHANGE): an object that somebody puts in the place of another one "
             "in the very moment in which that is replaced is lost";
    case Lack::kNewNames:
      return "neither RENAME_NOREPLACE nor hard links: an object that somebody makes in the very moment in which the "
             "run makes one of that name is lost";
    case Lack::kHardLinks:
      return "there are no hard links: further names of one file are problems; --no-hard-links makes a file of each";
    case Lack::kHoles:
      return "it does not tell where holes are (SEEK_HOLE): sparse files are read whole, and their holes take room at "
             "the destination";
    case Lack::kPreallocation:
      return "room cannot be set aside (fallocate): a file may find none while it is written";
    case Lack::kDirectorySync:
      return "directories cannot be synced: nothing counts as durable, a loss of power may take names that the run made";
    case Lack::kLeases:
      return "there are no leases (F_SETLEASE): of what a program writes through a mapping while a file is read, only "
             "what moves its times is seen, and what happens to files that changed within the last minute";
    case Lack::kOwners: return "owners and groups cannot be set: they are left out";
    case Lack::kNoReplace:
    case Lack::kAttributes:
    case Lack::kAcls:
    case Lack::kPunching:
    case Lack::kCount: break;
  }
  return nullptr;
}

std::string LinkOf(Driver* driver, int fd) {
  char target[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const long bytes = sys::Readlinkat(driver, AT_FDCWD, link.c_str(), target, sizeof(target));
  return bytes > 0 && target[0] == '/' ? std::string(target, static_cast<size_t>(bytes)) : std::string();
}

}  // namespace

void FileSystemFacts::Tell(Lack lack) {
  Remember(lack);
  if (!told_[Index(lack)].exchange(true) && owner_ != nullptr) owner_->TellOnce(*this, lack);
}

void FileSystems::SetRoot(Driver* driver, int fd, std::string shown) {
  root_path_ = LinkOf(driver, fd);
  root_shown_ = std::move(shown);
}

FileSystemFacts& FileSystems::Of(Driver* driver, int fd) {
  struct statx found{};
  const bool known = StatDescriptor(driver, fd, &found).ok();
  return Of(driver, fd, known ? ::makedev(found.stx_dev_major, found.stx_dev_minor) : 0);
}

FileSystemFacts& FileSystems::Of(Driver* driver, int fd, uint64_t device) {
  if (FileSystemFacts* const known = Find(device)) return *known;
  auto made = std::make_unique<FileSystemFacts>();
  made->owner_ = this;
  absl::StatusOr<std::string> type = FileSystemTypeName(driver, fd);
  if (type.ok()) made->type_ = *std::move(type);
  made->path_ = LinkOf(driver, fd);
  std::lock_guard lock(mutex_);
  // Somebody else may have been as quick.
  return *by_device_.try_emplace(device, std::move(made)).first->second;
}

FileSystemFacts* FileSystems::Find(uint64_t device) {
  std::lock_guard lock(mutex_);
  const auto found = by_device_.find(device);
  return found == by_device_.end() ? nullptr : found->second.get();
}

void FileSystems::Mute() {
  std::lock_guard lock(tell_mutex_);
  tell_ = nullptr;
}

// Where the file system that `path` lies on is mounted, as people know it.
std::string FileSystems::PlaceOf(const std::string& path) const {
  std::string point = path;
  size_t longest = 0;
  for (const Mount& mount : ReadMountTable()) {
    if (!LiesWithin(path, mount.point) || mount.point.size() < longest) continue;
    longest = mount.point.size();
    point = mount.point;
  }
  // What lies above the root of the session is nobody's business.
  if (root_path_.empty() || !LiesWithin(point, root_path_) || point == root_path_) return root_shown_;
  return root_shown_ + EscapeName(point.substr(root_path_ == "/" ? 0 : root_path_.size()));
}

void FileSystems::TellOnce(const FileSystemFacts& system, Lack lack) {
  const char* const meaning = MeaningOf(lack);
  if (meaning == nullptr) return;
  const std::string place = PlaceOf(system.path_);
  std::lock_guard lock(tell_mutex_);
  if (tell_ == nullptr) return;
  const std::string type = system.type_.empty() ? "file system" : system.type_;
  tell_("the " + type + (place.empty() ? "" : " at " + place) + ": " + meaning);
}

}  // namespace uringsync
