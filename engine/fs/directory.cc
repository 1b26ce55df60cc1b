#include "engine/fs/directory.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/escape.h"
#include "engine/fs/link_follower.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// Bytes of one openat2 path: below PATH_MAX with its NUL.
constexpr size_t kMaxChunkBytes = 4000;
// openat2 says EAGAIN when a rename elsewhere might have confused the resolution; one that keeps doing so is reported.
constexpr int kMaxResolveAttempts = 64;
constexpr size_t kGetdentsBytes = size_t{32} << 10;

// End of the chunk of `text` that starts at `begin`: the whole rest, or as many components as fit.
size_t ChunkEnd(const std::string& text, size_t begin) {
  if (text.size() - begin <= kMaxChunkBytes) return text.size();
  return text.rfind('/', begin + kMaxChunkBytes);  // a component has at most 255 bytes: there is one
}

}  // namespace

Directory::Directory(UniqueFd fd, bool readable, std::shared_ptr<FileSystems> systems)
    : fd_(std::move(fd)),
      readable_(readable),
      systems_(systems != nullptr ? std::move(systems) : std::make_shared<FileSystems>()) {}

FileSystemFacts& Directory::file_system(Driver* driver) const {
  FileSystemFacts* known = system_.load(std::memory_order_acquire);
  if (known == nullptr) {
    known = &systems_->Of(driver, fd());
    system_.store(known, std::memory_order_release);
  }
  return *known;
}

void Directory::Share(std::shared_ptr<FileSystems> systems) const {
  systems_ = std::move(systems);
  system_ = nullptr;
}

int OpenResolving(Driver* driver, int dirfd, const char* path, uint64_t flags, uint64_t resolve) {
  int fd = -EAGAIN;
  for (int attempt = 0; fd == -EAGAIN && attempt < kMaxResolveAttempts; ++attempt) {
    fd = sys::Openat2(driver, dirfd, path, {.flags = flags | O_CLOEXEC, .mode = 0, .resolve = resolve});
  }
  return fd;
}

absl::StatusOr<DirectoryPtr> OpenDirectoryAt(Driver* driver, int dirfd, const char* path, DirectoryAccess access,
                                             uint64_t resolve, std::shared_ptr<FileSystems> systems) {
  int fd = -EACCES;
  if (access != DirectoryAccess::kPath) {
    // Listing a directory must not move the access time that the session may be asked to keep; EPERM: it is somebody
    // else's.
    fd = OpenResolving(driver, dirfd, path, O_DIRECTORY | O_RDONLY | O_NOATIME, resolve);
    if (fd == -EPERM) fd = OpenResolving(driver, dirfd, path, O_DIRECTORY | O_RDONLY, resolve);
  }
  const bool readable = fd >= 0;
  if (fd == -EACCES && access != DirectoryAccess::kRead)
    fd = OpenResolving(driver, dirfd, path, O_DIRECTORY | O_PATH, resolve);
  if (fd < 0) return ErrnoStatus(-fd, "open directory");
  return std::make_shared<const Directory>(UniqueFd(fd), readable, std::move(systems));
}

FollowBase FollowBase::Below(std::string_view path) const {
  FollowBase below = *this;
  if (!below.prefix.empty() && !path.empty()) below.prefix += '/';
  below.prefix += path;
  return below;
}

absl::StatusOr<DirectoryPtr> OpenRoot(Driver* driver, const std::string& path, DirectoryAccess access) {
  absl::StatusOr<DirectoryPtr> root = OpenDirectoryAt(driver, AT_FDCWD, path.c_str(), access, 0);
  if (!root.ok()) return WithContext(root.status(), EscapeName(path));
  return root;
}

absl::StatusOr<DirectoryPtr> OpenBeneath(Driver* driver, const Directory& root, const RelPath& path,
                                         DirectoryAccess access) {
  const std::string& text = path.text();
  if (text.empty()) return OpenDirectoryAt(driver, root.fd(), ".", access, sys::kBeneath, root.systems());
  UniqueFd base;
  size_t begin = 0;
  while (true) {
    const size_t end = ChunkEnd(text, begin);
    const int dirfd = base.valid() ? base.get() : root.fd();
    if (end == text.size())
      return OpenDirectoryAt(driver, dirfd, text.c_str() + begin, access, sys::kBeneath, root.systems());
    const std::string chunk = text.substr(begin, end - begin);
    const int fd = OpenResolving(driver, dirfd, chunk.c_str(), O_DIRECTORY | O_PATH, sys::kBeneath);
    if (fd < 0) return ErrnoStatus(-fd, "open directory");
    base.Reset(fd);
    begin = end + 1;
  }
}

absl::StatusOr<DirectoryPtr> OpenChild(Driver* driver, const Directory& parent, const std::string& name,
                                       DirectoryAccess access) {
  return OpenDirectoryAt(driver, parent.fd(), name.c_str(), access, sys::kBeneath, parent.systems());
}

DirectoryReader::DirectoryReader(Driver* driver, int fd) : driver_(driver), fd_(fd), buffer_(kGetdentsBytes) {}

int DirectoryReader::SeekToStart() {
  position_ = filled_ = 0;
  return static_cast<int>(std::min<int64_t>(0, sys::Lseek(driver_, fd_, 0, SEEK_SET)));
}

int DirectoryReader::Next(DirectoryItem* item) {
  while (true) {
    if (position_ >= filled_) {
      const long got = sys::Getdents(driver_, fd_, buffer_.data(), buffer_.size());
      if (got <= 0) return static_cast<int>(got);
      position_ = 0;
      filled_ = static_cast<size_t>(got);
    }
    // struct linux_dirent64 has the layout of glibc's struct dirent64 on every 64-bit Linux.
    const auto* record = reinterpret_cast<const dirent64*>(buffer_.data() + position_);
    position_ += record->d_reclen;
    const std::string_view name(record->d_name);
    if (name == "." || name == "..") continue;
    // A corrupt (or hostile, FUSE) file system can hand out anything; such a name must not become a path.
    if (name.empty() || name.size() > kMaxNameBytes || name.find('/') != std::string_view::npos) return -EIO;
    item->name = name;
    item->inode = record->d_ino;
    item->type = record->d_type;
    return 1;
  }
}

DirectoryCache::DirectoryCache(Driver* driver, DirectoryPtr root, std::atomic<uint64_t>* epoch, size_t capacity,
                               std::optional<FollowBase> links)
    : driver_(driver),
      root_(std::move(root)),
      epoch_(epoch),
      seen_epoch_(epoch != nullptr ? epoch->load() : 0),
      capacity_(std::max<size_t>(capacity, 1)),
      links_(std::move(links)) {}

absl::StatusOr<DirectoryPtr> DirectoryCache::Get(const RelPath& path) {
  if (path.is_root()) return root_;
  if (epoch_ != nullptr) {
    const uint64_t now = epoch_->load(std::memory_order_acquire);
    if (now != seen_epoch_) Clear();
    seen_epoch_ = now;
  }
  const auto found = index_.find(path.text());
  if (found != index_.end()) {
    slots_.splice(slots_.begin(), slots_, found->second);
    return found->second->directory;
  }
  absl::StatusOr<DirectoryPtr> opened = OpenBeneath(driver_, *root_, path);
  if (!opened.ok() && links_ && IsLinkInTheWay(opened.status())) {
    opened = OpenFollowedDirectory(driver_, links_->Below(path.text()), DirectoryAccess::kReadIfPermitted);
  }
  if (!opened.ok()) return opened;
  if (slots_.size() >= capacity_) {
    index_.erase(slots_.back().path);
    slots_.pop_back();
  }
  slots_.push_front(Slot{path.text(), *opened});
  index_.emplace(slots_.front().path, slots_.begin());
  return opened;
}

void DirectoryCache::Invalidate(const RelPath& path) {
  if (path.is_root()) return Clear();
  const std::string& prefix = path.text();
  for (auto it = slots_.begin(); it != slots_.end();) {
    const bool below =
        it->path.starts_with(prefix) && (it->path.size() == prefix.size() || it->path[prefix.size()] == '/');
    if (!below) {
      ++it;
      continue;
    }
    index_.erase(it->path);
    it = slots_.erase(it);
  }
}

void DirectoryCache::InvalidateEverywhere() {
  if (epoch_ != nullptr) epoch_->fetch_add(1, std::memory_order_acq_rel);
  Clear();
}

void DirectoryCache::Clear() {
  index_.clear();
  slots_.clear();
}

}  // namespace uringsync
