// Kernel: paths, and what is done to names.
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "engine/fs/state_name.h"
#include "tests/sim/kernel.h"

namespace uringsync::sim {
namespace {

constexpr int kMaxLinks = 40;
constexpr size_t kMaxNameBytes = 255;
constexpr std::string_view kDescriptors = "/proc/self/fd/";

statx_timestamp Timestamp(Nanos time) {
  const Nanos wall = kWallClockStart + time;
  statx_timestamp stamp{};
  stamp.tv_sec = wall / kSecond - (wall % kSecond < 0 ? 1 : 0);
  stamp.tv_nsec = static_cast<uint32_t>((wall % kSecond + kSecond) % kSecond);
  return stamp;
}

}  // namespace

Kernel::Found Kernel::Walk(FileSystem* files, InodePtr at, std::string_view path, bool follow, uint64_t resolve,
                           int depth) {
  const InodePtr base = at;
  Found found{.files = files, .inode = at};
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string name(path.substr(0, end));
    path.remove_prefix(end);
    while (path.starts_with('/')) path.remove_prefix(1);
    if (name.empty() || name == ".") continue;
    if (found.inode == nullptr) return {.error = -ENOENT};
    if (!found.inode->is_directory()) return {.error = -ENOTDIR};
    if (name.size() > kMaxNameBytes) return {.error = -ENAMETOOLONG};
    const InodePtr directory = found.inode;
    if (name == "..") {
      if ((resolve & RESOLVE_BENEATH) != 0 && directory == base) return {.error = -EXDEV};
      // A directory outlives what lies in it, but for those that were removed.
      if (directory->parent == nullptr) return {.error = -ENOENT};
      Inode* const above = directory->parent;
      InodePtr holder = above == files->top().get() ? files->top() : nullptr;
      if (holder == nullptr) holder = files->HolderOf(above);
      if (holder == nullptr) return {.error = -ENOENT};
      found = {.files = files, .inode = holder};
      continue;
    }
    const auto entry = directory->names.find(name);
    found = {.files = files, .parent = directory, .name = name};
    if (entry == directory->names.end()) continue;
    found.inode = entry->second;
    const bool last = path.empty();
    if (found.inode->type() != S_IFLNK || (last && !follow)) continue;
    if ((resolve & RESOLVE_NO_SYMLINKS) != 0 || depth >= kMaxLinks) return {.error = -ELOOP};
    const std::string target = found.inode->now.data;
    if (target.empty() || target[0] == '/') return {.error = (resolve & RESOLVE_BENEATH) != 0 ? -EXDEV : -ENOENT};
    const Found behind = Walk(files, directory, target, true, 0, depth + 1);
    if (behind.error < 0) return behind;
    found = behind;
  }
  return found;
}

Kernel::Found Kernel::Resolve(int dirfd, const char* path, bool follow, uint64_t resolve, bool empty_path) {
  std::string_view text(path);
  if (text.starts_with(kDescriptors)) {
    text.remove_prefix(kDescriptors.size());
    OpenFile* file = FileOf(std::atoi(text.data()));
    if (file == nullptr || file->inode == nullptr) return {.error = -ENOENT};
    const size_t slash = text.find('/');
    if (slash == std::string_view::npos) return {.files = file->files, .inode = file->inode};
    return Walk(file->files, file->inode, text.substr(slash + 1), follow, resolve, 0);
  }
  const std::string_view prefix(kPathPrefix);
  if (text.starts_with(prefix)) {
    text.remove_prefix(prefix.size());
    const auto files = files_.find(std::atoi(text.data()));
    if (files == files_.end()) return {.error = -ENOENT};
    text.remove_prefix(std::min(text.find('/'), text.size()));
    while (text.starts_with('/')) text.remove_prefix(1);
    return Walk(files->second, files->second->top(), text, follow, resolve, 0);
  }
  if (text.starts_with('/')) return {.error = -ENOENT};
  OpenFile* file = FileOf(dirfd);
  if (file == nullptr || file->inode == nullptr) return {.error = -EBADF};
  if (text.empty() && !empty_path) return {.error = -ENOENT};
  if (!text.empty() && file->inode->is_directory() && file->inode->links == 0 && text != "." && text != "..")
    return {.error = -ENOENT};
  return Walk(file->files, file->inode, text, follow, resolve, 0);
}

long Kernel::Statx(int dirfd, const char* path, int flags, struct statx* out) {
  const Found found = Resolve(dirfd, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, 0, (flags & AT_EMPTY_PATH) != 0);
  if (found.error < 0) return found.error;
  if (found.inode == nullptr) return -ENOENT;
  const Inode& inode = *found.inode;
  *out = {};
  out->stx_mask = STATX_BASIC_STATS | STATX_MNT_ID;
  out->stx_blksize = kBlockBytes;
  out->stx_nlink = inode.links;
  out->stx_uid = inode.now.uid;
  out->stx_gid = inode.now.gid;
  out->stx_mode = static_cast<uint16_t>(inode.now.mode);
  out->stx_ino = inode.number;
  out->stx_size = inode.is_directory() ? kBlockBytes : inode.now.data.size();
  const auto blocks = std::count(inode.now.allocated.begin(), inode.now.allocated.end(), true);
  out->stx_blocks = static_cast<uint64_t>(blocks) * kBlockBytes / 512;
  out->stx_atime = Timestamp(inode.now.times.access);
  out->stx_mtime = Timestamp(inode.now.times.modify);
  out->stx_ctime = Timestamp(inode.now.times.change);
  out->stx_rdev_major = inode.now.device_major;
  out->stx_rdev_minor = inode.now.device_minor;
  out->stx_dev_major = 8;
  out->stx_dev_minor = static_cast<uint32_t>(found.files->options().device);
  out->stx_mnt_id = found.files->options().device;
  return 0;
}

long Kernel::Make(int dirfd, const char* path, const InodePtr& inode) {
  const Found found = Resolve(dirfd, path, false);
  if (found.error < 0) return found.error;
  if (found.inode != nullptr) return -EEXIST;
  return found.files->Link(found.parent.get(), found.name, inode);
}

long Kernel::MakeNamed(int dirfd, const char* path, uint32_t mode, uint64_t device, const char* target) {
  const Found found = Resolve(dirfd, path, false);
  if (found.error < 0) return found.error;
  if (found.inode != nullptr) return -EEXIST;
  const InodePtr inode = found.files->MakeInode(mode);
  inode->now.device_major = major(device);
  inode->now.device_minor = minor(device);
  if (target != nullptr) inode->now.data = target;
  return found.files->Link(found.parent.get(), found.name, inode);
}

long Kernel::Unlink(int dirfd, const char* path, int flags) {
  const Found found = Resolve(dirfd, path, false);
  if (found.error < 0) return found.error;
  if (found.inode == nullptr) return -ENOENT;
  if (found.parent == nullptr) return -EINVAL;
  return found.files->Unlink(found.parent.get(), found.name, (flags & AT_REMOVEDIR) != 0);
}

long Kernel::Rename(int from, const char* name, int to, const char* new_name, unsigned flags) {
  const Found source = Resolve(from, name, false);
  const Found target = Resolve(to, new_name, false);
  if (source.error < 0) return source.error;
  if (target.error < 0) return target.error;
  if (source.inode == nullptr) return -ENOENT;
  if (source.parent == nullptr || target.parent == nullptr) return -EBUSY;
  if (source.files != target.files) return -EXDEV;
  const bool published = IsStateName(source.name) && !IsStateName(target.name) && source.inode->is_file();
  if (defects_.torn_publish && published) source.inode->now.data.resize(source.inode->now.data.size() / 2);
  if (defects_.blind_exchange && flags == RENAME_EXCHANGE && target.inode != nullptr) flags = 0;
  return source.files->Rename(source.parent.get(), source.name, target.parent.get(), target.name, flags);
}

long Kernel::Link(int from, const char* name, int to, const char* new_name, int flags) {
  const Found source = Resolve(from, name, (flags & AT_SYMLINK_FOLLOW) != 0, 0, (flags & AT_EMPTY_PATH) != 0);
  if (source.error < 0) return source.error;
  if (source.inode == nullptr) return -ENOENT;
  if (source.inode->is_directory()) return -EPERM;
  const Found target = Resolve(to, new_name, false);
  if (target.error < 0) return target.error;
  if (target.inode != nullptr) return -EEXIST;
  if (source.files != target.files) return -EXDEV;
  if (defects_.torn_publish && source.inode->links == 0)
    source.inode->now.data.resize(source.inode->now.data.size() / 2);
  return source.files->Link(target.parent.get(), target.name, source.inode);
}

long Kernel::SetMode(const Found& found, uint32_t mode) {
  if (found.error < 0) return found.error;
  if (found.inode == nullptr) return -ENOENT;
  if (found.inode->type() == S_IFLNK) return -EOPNOTSUPP;
  found.inode->now.mode = found.inode->type() | (mode & 07777);
  found.files->Touch(found.inode.get());
  return 0;
}

long Kernel::SetOwner(const Found& found, uint32_t uid, uint32_t gid) {
  if (found.error < 0) return found.error;
  if (found.inode == nullptr) return -ENOENT;
  Contents& now = found.inode->now;
  if (uid != ~0U) now.uid = uid;
  if (gid != ~0U) now.gid = gid;
  if (!found.inode->is_directory() && found.inode->type() != S_IFLNK) now.mode &= ~uint32_t{S_ISUID | S_ISGID};
  found.files->Touch(found.inode.get());
  return 0;
}

long Kernel::SetTimes(const Found& found, const timespec* times) {
  if (found.error < 0) return found.error;
  if (found.inode == nullptr) return -ENOENT;
  const Nanos now = found.files->Tick();
  const auto set = [now](const timespec& time, Nanos* field) {
    if (time.tv_nsec == UTIME_OMIT) return;
    // As on xfs with large times: what is out of range becomes its limit.
    const int64_t seconds = std::clamp<int64_t>(time.tv_sec, -2'147'483'648, 6'000'000'000);
    *field = time.tv_nsec == UTIME_NOW ? now : seconds * kSecond + time.tv_nsec - kWallClockStart;
  };
  FileTimes& field = found.inode->now.times;
  if (times == nullptr) {
    field.access = field.modify = now;
  } else {
    set(times[0], &field.access);
    set(times[1], &field.modify);
  }
  found.files->Touch(found.inode.get());
  return 0;
}

}  // namespace uringsync::sim
