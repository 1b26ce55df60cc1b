#include "engine/watch/inotify_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <unordered_map>

#include "engine/base/errno_status.h"
#include "engine/base/unique_fd.h"

namespace uringsync {
namespace {

constexpr uint32_t kMask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE |
                           IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr size_t kBufferBytes = size_t{64} << 10;

class InotifyWatch final : public TreeWatch {
 public:
  explicit InotifyWatch(UniqueFd fd) : fd_(std::move(fd)) {}

  absl::Status Add(int fd, Id id) override {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    const int watch = ::inotify_add_watch(fd_.get(), path.c_str(), kMask);
    if (watch < 0 && errno == ENOSPC) {
      return MakeStatus(absl::StatusCode::kResourceExhausted,
                        "more directories than fs.inotify.max_user_watches allows");
    }
    if (watch < 0) return ErrnoStatus(errno, "inotify_add_watch");
    ids_[watch] = id;
    watches_[id] = watch;
    return absl::OkStatus();
  }

  void Remove(Id id) override {
    const auto found = watches_.find(id);
    if (found == watches_.end()) return;
    const int watch = found->second;
    watches_.erase(found);
    const auto owner = ids_.find(watch);
    if (owner == ids_.end() || owner->second != id) return;
    ids_.erase(owner);
    ::inotify_rm_watch(fd_.get(), watch);
  }

  absl::Status Drain(std::vector<Id>* changed) override {
    while (lost_.ok()) {
      const ssize_t bytes = ::read(fd_.get(), buffer_.data(), buffer_.size());
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes < 0 && errno == EAGAIN) break;
      if (bytes <= 0) {
        lost_ = ErrnoStatus(errno, "read of inotify events");
        break;
      }
      for (size_t at = 0; at < static_cast<size_t>(bytes);) {
        inotify_event event{};
        std::memcpy(&event, buffer_.data() + at, sizeof(event));
        at += sizeof(event) + event.len;
        Handle(event, changed);
      }
    }
    return lost_;
  }

  int fd() const override { return fd_.get(); }
  std::string_view kind() const override { return "inotify"; }
  // Two map nodes here; the kernel's own watch takes about as much again as an inode.
  size_t bytes_per_directory() const override { return 96; }

 private:
  void Handle(const inotify_event& event, std::vector<Id>* changed) {
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      lost_ = MakeStatus(absl::StatusCode::kDataLoss, "more changes than the queue of events holds");
    }
    if ((event.mask & IN_UNMOUNT) != 0)
      lost_ = MakeStatus(absl::StatusCode::kDataLoss, "the file system was unmounted");
    const auto found = ids_.find(event.wd);
    if (found == ids_.end()) return;
    changed->push_back(found->second);
    // The kernel took the watch away: the directory is gone.
    if ((event.mask & IN_IGNORED) != 0) ids_.erase(found);
  }

  const UniqueFd fd_;
  std::array<char, kBufferBytes> buffer_{};
  std::unordered_map<int, Id> ids_;
  std::unordered_map<Id, int> watches_;
  absl::Status lost_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TreeWatch>> StartInotifyWatch() {
  UniqueFd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "inotify_init1");
  return std::make_unique<InotifyWatch>(std::move(fd));
}

}  // namespace uringsync
