#include "tests/sim/kernel.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace uringsync::sim {
namespace {

Kernel* kernel = nullptr;
constexpr int kTmpFile = O_TMPFILE & ~O_DIRECTORY;

bool Writes(int64_t flags) {
  return (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_RDONLY;
}

template <typename T>
T* At(long address) {
  return reinterpret_cast<T*>(address);
}

}  // namespace

OpenFile::~OpenFile() {
  kernel->Unlock(this);
  if (inode != nullptr && Writes(flags)) --inode->writers;
  if (inode != nullptr && files != nullptr && inode->links == 0 && inode.use_count() == 1) files->FreeRoom(inode.get());
}

Kernel::Kernel(Scheduler* scheduler, Network* network, Defects defects)
    : scheduler_(scheduler), network_(network), defects_(defects) {
  kernel = this;
}

Kernel::~Kernel() = default;

Kernel* Kernel::Get() {
  return kernel;
}

OpenFile* Kernel::FileOf(int fd) const {
  const auto found = descriptors_.find(fd);
  return found == descriptors_.end() ? nullptr : found->second.file.get();
}

int Kernel::Install(ProcessId process, std::shared_ptr<OpenFile> file) {
  const int fd = next_descriptor_++;
  descriptors_[fd] = {std::move(file), process};
  return fd;
}

SocketPtr Kernel::SocketOf(int fd) const {
  const OpenFile* file = FileOf(fd);
  return file == nullptr ? nullptr : file->socket;
}

int Kernel::AddSocket(ProcessId process, SocketPtr socket) {
  socket->process = process;
  auto file = std::make_shared<OpenFile>();
  file->socket = std::move(socket);
  return Install(process, std::move(file));
}

int Kernel::Close(int fd) {
  const auto found = descriptors_.find(fd);
  if (found == descriptors_.end()) {
    SetMisuse("descriptor " + std::to_string(fd) + " was closed twice");
    return -EBADF;
  }
  const std::shared_ptr<OpenFile> file = std::move(found->second.file);
  descriptors_.erase(found);
  if (file->socket != nullptr && file.use_count() == 1) network_->Close(file->socket);
  return 0;
}

void Kernel::ProcessDied(ProcessId process) {
  std::erase_if(descriptors_, [process](const auto& descriptor) { return descriptor.second.process == process; });
}

size_t Kernel::descriptors(ProcessId process) const {
  return static_cast<size_t>(std::count_if(descriptors_.begin(), descriptors_.end(), [process](const auto& descriptor) {
    return descriptor.second.process == process;
  }));
}

int Kernel::OpenByPath(const char* path, int flags) {
  return static_cast<int>(Open(scheduler_->process(), AT_FDCWD, path, flags, 0, 0));
}

long Kernel::OpenInode(ProcessId process, FileSystem* files, InodePtr inode, int64_t flags) {
  const bool path_only = (flags & O_PATH) != 0;
  if ((flags & O_DIRECTORY) != 0 && !inode->is_directory()) return -ENOTDIR;
  if (inode->type() == S_IFLNK && !path_only) return -ELOOP;
  if (inode->is_directory() && Writes(flags)) return -EISDIR;
  if (inode->type() == S_IFSOCK && !path_only) return -ENXIO;
  auto file = std::make_shared<OpenFile>();
  file->files = files;
  file->flags = static_cast<int>(flags);
  file->inode = std::move(inode);
  if (Writes(flags)) ++file->inode->writers;
  if ((flags & O_TRUNC) != 0 && file->inode->is_file()) files->Truncate(file->inode.get(), 0);
  return Install(process, std::move(file));
}

long Kernel::Open(ProcessId process, int dirfd, const char* path, int64_t flags, uint32_t mode, uint64_t resolve) {
  const bool unnamed = (flags & kTmpFile) != 0;
  const bool exclusive = (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0;
  const bool follow = (flags & O_NOFOLLOW) == 0 && !exclusive;
  Found found = Resolve(dirfd, path, follow, resolve);
  if (found.error < 0) return found.error;
  if (unnamed) {
    if (found.inode == nullptr) return -ENOENT;
    if (!found.inode->is_directory()) return -ENOTDIR;
    return OpenInode(process, found.files, found.files->MakeInode(S_IFREG | (mode & 07777)),
                     flags & ~(O_TMPFILE | O_DIRECTORY));
  }
  if (found.inode != nullptr) return exclusive ? -EEXIST : OpenInode(process, found.files, found.inode, flags);
  if ((flags & O_CREAT) == 0) return -ENOENT;
  const InodePtr made = found.files->MakeInode(S_IFREG | (mode & 07777));
  const int linked = found.files->Link(found.parent.get(), found.name, made);
  return linked < 0 ? linked : OpenInode(process, found.files, made, flags);
}

long Kernel::Getdents(OpenFile* file, void* buffer, size_t bytes) {
  if (!file->inode->is_directory()) return -ENOTDIR;
  if (!file->listing) {
    file->listing.emplace(file->inode->names.begin(), file->inode->names.end());
    for (size_t i = file->listing->size(); i > 1; --i)
      std::swap((*file->listing)[i - 1], (*file->listing)[scheduler_->random().Below(i)]);
    file->position = 0;
  }
  struct Record {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
  } __attribute__((packed));
  size_t filled = 0;
  auto* at = static_cast<char*>(buffer);
  while (static_cast<size_t>(file->position) < file->listing->size()) {
    const auto& [name, inode] = (*file->listing)[static_cast<size_t>(file->position)];
    const size_t length = (sizeof(Record) + name.size() + 1 + 7) / 8 * 8;
    if (filled + length > bytes) break;
    const Record record{inode->number, file->position + 1, static_cast<uint16_t>(length),
                        static_cast<uint8_t>(inode->type() >> 12)};
    std::memset(at + filled, 0, length);
    std::memcpy(at + filled, &record, sizeof(record));
    std::memcpy(at + filled + sizeof(record), name.data(), name.size());
    filled += length;
    ++file->position;
  }
  return static_cast<long>(filled);
}

long Kernel::Seek(OpenFile* file, int64_t offset, int whence) {
  if (whence == SEEK_DATA || whence == SEEK_HOLE)
    return file->files->Seek(*file->inode, static_cast<uint64_t>(offset), whence == SEEK_DATA);
  if (whence != SEEK_SET) return -EINVAL;
  file->position = offset;
  if (file->inode->is_directory()) file->listing.reset();
  return offset;
}

void Kernel::Unlock(const OpenFile* file) {
  if (file->inode == nullptr) return;
  const auto found = locks_.find(file->inode.get());
  if (found == locks_.end()) return;
  if (found->second.exclusive == file) found->second.exclusive = nullptr;
  std::erase(found->second.shared, file);
  if (found->second.exclusive == nullptr && found->second.shared.empty()) locks_.erase(found);
}

// Never waits: nobody asks for it without LOCK_NB.
long Kernel::Flock(const OpenFile* file, int operation) {
  Unlock(file);
  if ((operation & LOCK_UN) != 0) return 0;
  Locks& locks = locks_[file->inode.get()];
  const bool exclusive = (operation & LOCK_EX) != 0;
  if (locks.exclusive != nullptr || (exclusive && !locks.shared.empty())) return -EWOULDBLOCK;
  if (exclusive) {
    locks.exclusive = file;
  } else {
    locks.shared.push_back(file);
  }
  return 0;
}

long Kernel::Fcntl(ProcessId process, int fd, OpenFile* file, int command, long argument) {
  switch (command) {
    case F_DUPFD_CLOEXEC: return Install(process, descriptors_.at(fd).file);
    case F_GETFL: return file->flags;
    case F_SETFL: return 0;
    case F_SETLEASE: return argument == F_RDLCK && file->inode->writers > 0 ? -EAGAIN : 0;
    default: return -EINVAL;
  }
}

long Kernel::Statfs(OpenFile* file, void* out) {
  auto* facts = static_cast<struct statfs*>(out);
  *facts = {};
  const uint64_t room = file->files->room_bytes();
  facts->f_type = static_cast<decltype(facts->f_type)>(file->files->options().magic);
  facts->f_bsize = facts->f_frsize = kBlockBytes;
  facts->f_blocks = room / kBlockBytes;
  facts->f_bfree = facts->f_bavail = (room - std::min(room, file->files->used_bytes())) / kBlockBytes;
  facts->f_files = 1000000;
  facts->f_ffree = 900000;
  facts->f_namelen = 255;
  return 0;
}

int64_t Kernel::RunFileOp(const Op& op) {
  OpenFile* file = FileOf(op.fd);
  if (file == nullptr || file->inode == nullptr) return -EBADF;
  if (file->inode->is_directory() && op.code != OpCode::kFsync) return -EISDIR;
  switch (op.code) {
    case OpCode::kRead: return file->files->Read(file->inode.get(), op.buffer, op.length, op.offset);
    case OpCode::kWrite:
      if (defects_.lost_writes && op.length >= kBlockBytes && scheduler_->random().Chance(200)) {
        file->files->Allocate(file->inode.get(), op.offset, op.length, false);
        return op.length;
      }
      return file->files->Write(file->inode.get(), op.buffer, op.length, op.offset);
    case OpCode::kFsync: file->files->Sync(file->inode.get()); return 0;
    case OpCode::kFallocate:
      return file->files->Allocate(file->inode.get(), op.offset, op.length64, (op.flags & FALLOC_FL_KEEP_SIZE) != 0);
    default: return -EINVAL;
  }
}

void Kernel::FailSync(int fd) {
  OpenFile* file = FileOf(fd);
  if (file != nullptr && file->inode != nullptr) file->files->Sync(file->inode.get(), /*failed=*/true);
}

// Calls with a descriptor as their first argument.
long Kernel::CallFile(ProcessId process, CallCode code, const long (&a)[6]) {
  const int fd = static_cast<int>(a[0]);
  OpenFile* file = FileOf(fd);
  if (file == nullptr || file->inode == nullptr) return -EBADF;
  const Found self{.files = file->files, .inode = file->inode};
  switch (code) {
    case CallCode::kGetdents: return Getdents(file, At<void>(a[1]), static_cast<size_t>(a[2]));
    case CallCode::kFchmod: return SetMode(self, static_cast<uint32_t>(a[1]));
    case CallCode::kFtruncate: return file->files->Truncate(file->inode.get(), static_cast<uint64_t>(a[1]));
    case CallCode::kLseek: return Seek(file, a[1], static_cast<int>(a[2]));
    case CallCode::kFstatfs: return Statfs(file, At<void>(a[1]));
    case CallCode::kFlock: return Flock(file, static_cast<int>(a[1]));
    case CallCode::kFadvise:
    case CallCode::kSyncFileRange: return 0;
    case CallCode::kFcntl: return Fcntl(process, fd, file, static_cast<int>(a[1]), a[2]);
    // Neither clones nor flags.
    case CallCode::kIoctl:
    case CallCode::kCopyFileRange: return -EOPNOTSUPP;
    case CallCode::kCachestat: return -ENOSYS;
    case CallCode::kPread:
      return file->files->Read(file->inode.get(), At<void>(a[1]), static_cast<uint64_t>(a[2]),
                               static_cast<uint64_t>(a[3]));
    case CallCode::kPwrite:
      return file->files->Write(file->inode.get(), At<void>(a[1]), static_cast<uint64_t>(a[2]),
                                static_cast<uint64_t>(a[3]));
    case CallCode::kSyncfs: file->files->SyncAll(); return 0;
    case CallCode::kFsync: file->files->Sync(file->inode.get()); return 0;
    default: break;
  }
  std::fprintf(stderr, "the simulated kernel has no %s\n", CallCodeName(code));
  std::abort();
}

long Kernel::Call(ProcessId process, CallCode code, const long (&a)[6]) {
  const int dirfd = static_cast<int>(a[0]);
  bool handled = true;
  long result = Xattr(code, a, &handled);
  if (!handled) handled = true, result = SocketCall(process, code, a, &handled);
  if (handled) return result;
  switch (code) {
    case CallCode::kOpenat2: {
      const auto* how = At<const open_how>(a[2]);
      return Open(process, dirfd, At<const char>(a[1]), static_cast<int64_t>(how->flags),
                  static_cast<uint32_t>(how->mode), how->resolve);
    }
    case CallCode::kOpenat: return Open(process, dirfd, At<const char>(a[1]), a[2], static_cast<uint32_t>(a[3]), 0);
    case CallCode::kClose: return Close(dirfd);
    case CallCode::kStatx: return Statx(dirfd, At<const char>(a[1]), static_cast<int>(a[2]), At<struct statx>(a[4]));
    case CallCode::kReadlinkat: {
      if (std::string_view(At<const char>(a[1])).starts_with("/proc/")) return -ENOENT;
      const Found found = Resolve(dirfd, At<const char>(a[1]), false, 0, true);
      if (found.error < 0) return found.error;
      if (found.inode == nullptr) return -ENOENT;
      if (found.inode->type() != S_IFLNK) return -EINVAL;
      const size_t bytes = std::min(found.inode->now.data.size(), static_cast<size_t>(a[3]));
      std::memcpy(At<char>(a[2]), found.inode->now.data.data(), bytes);
      return static_cast<long>(bytes);
    }
    case CallCode::kMkdirat:
      return MakeNamed(dirfd, At<const char>(a[1]), S_IFDIR | (static_cast<uint32_t>(a[2]) & 0755), 0, nullptr);
    case CallCode::kMknodat:
      return MakeNamed(dirfd, At<const char>(a[1]), static_cast<uint32_t>(a[2]), static_cast<uint64_t>(a[3]), nullptr);
    case CallCode::kSymlinkat:
      return MakeNamed(static_cast<int>(a[1]), At<const char>(a[2]), S_IFLNK | 0777, 0, At<const char>(a[0]));
    case CallCode::kUnlinkat: return Unlink(dirfd, At<const char>(a[1]), static_cast<int>(a[2]));
    case CallCode::kRenameat2:
      return Rename(dirfd, At<const char>(a[1]), static_cast<int>(a[2]), At<const char>(a[3]),
                    static_cast<unsigned>(a[4]));
    case CallCode::kLinkat:
      return Link(dirfd, At<const char>(a[1]), static_cast<int>(a[2]), At<const char>(a[3]), static_cast<int>(a[4]));
    case CallCode::kFchmodat: return SetMode(Resolve(dirfd, At<const char>(a[1]), true), static_cast<uint32_t>(a[2]));
    case CallCode::kFchownat:
      return SetOwner(
          Resolve(dirfd, At<const char>(a[1]), (a[4] & AT_SYMLINK_NOFOLLOW) == 0, 0, (a[4] & AT_EMPTY_PATH) != 0),
          static_cast<uint32_t>(a[2]), static_cast<uint32_t>(a[3]));
    case CallCode::kUtimensat: {
      const char* path = At<const char>(a[1]);
      return SetTimes(Resolve(dirfd, path == nullptr ? "" : path, (a[3] & AT_SYMLINK_NOFOLLOW) == 0, 0, true),
                      At<const timespec>(a[2]));
    }
    case CallCode::kMmap: return -ENODEV;
    default: return CallFile(process, code, a);
  }
}

}  // namespace uringsync::sim
