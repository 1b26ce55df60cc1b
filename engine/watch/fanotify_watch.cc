#include "engine/watch/fanotify_watch.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <unordered_map>

#include "engine/base/errno_status.h"
#include "engine/base/unique_fd.h"

namespace uringsync {
namespace {

constexpr uint64_t kMask = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MODIFY | FAN_CLOSE_WRITE |
                           FAN_ATTRIB | FAN_DELETE_SELF | FAN_MOVE_SELF | FAN_ONDIR;
constexpr size_t kBufferBytes = size_t{64} << 10;

// Bytes of a file handle with its type: what names a directory in events.
using HandleKey = std::string;

HandleKey KeyOf(int type, const unsigned char* bytes, size_t size) {
  HandleKey key(reinterpret_cast<const char*>(&type), sizeof(type));
  key.append(reinterpret_cast<const char*>(bytes), size);
  return key;
}

class FanotifyWatch final : public TreeWatch {
 public:
  explicit FanotifyWatch(UniqueFd fd) : fd_(std::move(fd)) {}

  absl::Status Add(int fd, Id id) override {
    alignas(file_handle) std::array<char, sizeof(file_handle) + MAX_HANDLE_SZ> space{};
    auto* handle = reinterpret_cast<file_handle*>(space.data());
    handle->handle_bytes = MAX_HANDLE_SZ;
    int mount = 0;
    if (::name_to_handle_at(fd, "", handle, &mount, AT_EMPTY_PATH) != 0) return ErrnoStatus(errno, "name_to_handle_at");
    HandleKey key = KeyOf(handle->handle_type, handle->f_handle, handle->handle_bytes);
    ids_[key] = id;
    keys_[id] = std::move(key);
    return absl::OkStatus();
  }

  void Remove(Id id) override {
    const auto found = keys_.find(id);
    if (found == keys_.end()) return;
    const auto owner = ids_.find(found->second);
    if (owner != ids_.end() && owner->second == id) ids_.erase(owner);
    keys_.erase(found);
  }

  absl::Status Drain(std::vector<Id>* changed) override {
    while (lost_.ok()) {
      const ssize_t bytes = ::read(fd_.get(), buffer_.data(), buffer_.size());
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes < 0 && errno == EAGAIN) break;
      if (bytes <= 0) {
        lost_ = ErrnoStatus(errno, "read of fanotify events");
        break;
      }
      for (size_t at = 0; at + sizeof(fanotify_event_metadata) <= static_cast<size_t>(bytes);) {
        fanotify_event_metadata event{};
        std::memcpy(&event, buffer_.data() + at, sizeof(event));
        Handle(event, buffer_.data() + at, changed);
        at += event.event_len;
      }
    }
    return lost_;
  }

  int fd() const override { return fd_.get(); }
  std::string_view kind() const override { return "fanotify"; }
  size_t bytes_per_directory() const override { return 224; }

 private:
  void Handle(const fanotify_event_metadata& event, const char* bytes, std::vector<Id>* changed) {
    if (event.fd >= 0) ::close(event.fd);
    if (event.vers != FANOTIFY_METADATA_VERSION) {
      lost_ = MakeStatus(absl::StatusCode::kDataLoss, "events of another form than this program knows");
      return;
    }
    if ((event.mask & FAN_Q_OVERFLOW) != 0) {
      lost_ = MakeStatus(absl::StatusCode::kDataLoss, "more changes than the queue of events holds");
      return;
    }
    for (size_t at = event.metadata_len; at + sizeof(fanotify_event_info_header) <= event.event_len;) {
      fanotify_event_info_header header{};
      std::memcpy(&header, bytes + at, sizeof(header));
      const bool names_directory =
          header.info_type == FAN_EVENT_INFO_TYPE_DFID_NAME || header.info_type == FAN_EVENT_INFO_TYPE_DFID;
      if (names_directory) Look(bytes + at, changed);
      if (header.len == 0) return;
      at += header.len;
    }
  }

  // The record is followed by struct file_handle.
  void Look(const char* record, std::vector<Id>* changed) {
    const char* handle = record + offsetof(fanotify_event_info_fid, handle);
    uint32_t size = 0;
    int type = 0;
    std::memcpy(&size, handle + offsetof(file_handle, handle_bytes), sizeof(size));
    std::memcpy(&type, handle + offsetof(file_handle, handle_type), sizeof(type));
    if (size > MAX_HANDLE_SZ) return;
    const auto found =
        ids_.find(KeyOf(type, reinterpret_cast<const unsigned char*>(handle + sizeof(file_handle)), size));
    if (found != ids_.end()) changed->push_back(found->second);
  }

  const UniqueFd fd_;
  alignas(fanotify_event_metadata) std::array<char, kBufferBytes> buffer_{};
  std::unordered_map<HandleKey, Id> ids_;
  std::unordered_map<Id, HandleKey> keys_;
  absl::Status lost_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TreeWatch>> StartFanotifyWatch(int fd) {
  UniqueFd group(
      ::fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_DFID_NAME, O_RDONLY | O_CLOEXEC));
  if (!group.valid()) return ErrnoStatus(errno, "fanotify_init");
  if (::fanotify_mark(group.get(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, kMask, fd, nullptr) != 0) {
    return ErrnoStatus(errno, "fanotify_mark");
  }
  return std::make_unique<FanotifyWatch>(std::move(group));
}

}  // namespace uringsync
