#include "engine/fs/file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/fs/extents.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// One operation moves at most this much, below every limit of the kernel (2 GiB less a page).
constexpr size_t kMaxTransferBytes = size_t{1} << 30;
// What CopyData holds in memory.
constexpr uint64_t kCopyBytes = uint64_t{1} << 20;

// Filled in place: an Op must not move once it is in flight.
void FillTransfer(Op* op, OpCode code, int fd, void* buffer, size_t length, uint64_t offset, int registered_buffer) {
  op->code = code;
  op->fd = fd;
  op->buffer = buffer;
  op->length = static_cast<uint32_t>(std::min(length, kMaxTransferBytes));
  op->offset = offset;
  op->registered_buffer = registered_buffer;
}

std::string At(const char* operation, uint64_t offset) {
  return std::string(operation) + " at " + std::to_string(offset);
}

}  // namespace

Task<absl::StatusOr<size_t>> ReadAtFull(Driver* driver, int fd, void* buffer, size_t length, uint64_t offset,
                                        int registered_buffer, bool background) {
  size_t done = 0;
  while (done < length) {
    Op op;
    FillTransfer(&op, OpCode::kRead, fd, static_cast<std::byte*>(buffer) + done, length - done, offset + done,
                 registered_buffer);
    op.background = background;
    const int64_t n = co_await Await(driver, &op);
    if (n < 0) co_return ErrnoStatus(static_cast<int>(-n), At("read", offset + done));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  co_return done;
}

Task<absl::Status> WriteAtFull(Driver* driver, int fd, const void* buffer, size_t length, uint64_t offset,
                               int registered_buffer, bool background) {
  size_t done = 0;
  if (length <= kInlineWriteBytes) {
    const long n = driver->Call(CallCode::kPwrite, fd, reinterpret_cast<long>(buffer), static_cast<long>(length),
                                static_cast<long>(offset));
    if (n < 0) co_return ErrnoStatus(static_cast<int>(-n), At("write", offset));
    done = static_cast<size_t>(n);  // the rest of a short write goes the long way
  }
  while (done < length) {
    Op op;
    // Op has one pointer for both directions; a write does not change what it points to.
    void* from = const_cast<std::byte*>(static_cast<const std::byte*>(buffer)) + done;
    FillTransfer(&op, OpCode::kWrite, fd, from, length - done, offset + done, registered_buffer);
    op.background = background;
    const int64_t n = co_await Await(driver, &op);
    if (n < 0) co_return ErrnoStatus(static_cast<int>(-n), At("write", offset + done));
    // A regular file that takes nothing and reports no error would make this loop forever.
    if (n == 0) co_return ErrnoStatus(EIO, At("write", offset + done));
    done += static_cast<size_t>(n);
  }
  co_return absl::OkStatus();
}

void AllowInlineWrites(Driver* driver, int fd) {
  struct statfs stat;
  if (driver->Call(CallCode::kFstatfs, fd, sys::Arg(&stat)) < 0 || stat.f_type != TMPFS_MAGIC) return;
  // What io_uring asks for before it writes without a worker. tmpfs takes O_DIRECT as it takes everything else: by
  // copying. A kernel whose tmpfs refuses it (before 6.6) leaves the flags as they were.
  const int flags = sys::Fcntl(driver, fd, F_GETFL);
  if (flags >= 0) sys::Fcntl(driver, fd, F_SETFL, flags | O_DIRECT | O_NONBLOCK);
}

Task<absl::Status> SyncFile(Driver* driver, int fd) {
  Op op;
  op.code = OpCode::kFsync;
  op.fd = fd;
  const int64_t result = co_await Await(driver, &op);
  co_return sys::SysStatus(result, "fsync");
}

// A file system that has been shut down (its log could not be written, or somebody asked for it) drops what it had not
// written, and then xfs has nothing left to write for a directory: its fsync succeeds. A stat fails there with EIO.
Task<absl::Status> SyncInPlace(Driver* driver, int fd) {
  US_CO_RETURN_IF_ERROR(co_await SyncFile(driver, fd));
  struct statx alive {};
  co_return StatDescriptor(driver, fd, &alive);
}

Task<absl::Status> SyncDirectory(Driver* driver, const Directory& directory) {
  FileSystemFacts& system = directory.file_system(driver);
  constexpr int kNever = EOPNOTSUPP;
  if (!system.Lacks(Lack::kDirectorySync)) {
    const absl::Status synced = co_await SyncInPlace(driver, directory.fd());
    const int error = StatusErrno(synced);
    if (error != EINVAL && error != EOPNOTSUPP && error != ENOSYS) co_return synced;
    system.Tell(Lack::kDirectorySync);
  }
  co_return ErrnoStatus(kNever, "fsync");
}

bool IsUnsyncable(const absl::Status& status) {
  return absl::IsUnimplemented(status);
}

Task<absl::Status> Preallocate(Driver* driver, int fd, uint64_t size_bytes, FileSystemFacts* system) {
  if (size_bytes == 0 || (system != nullptr && system->Lacks(Lack::kPreallocation))) co_return absl::OkStatus();
  Op op;
  op.code = OpCode::kFallocate;
  op.fd = fd;
  op.length64 = size_bytes;
  op.flags = FALLOC_FL_KEEP_SIZE;
  const int64_t result = co_await Await(driver, &op);
  switch (result) {
    case -EOPNOTSUPP:
    case -ENOSYS:
      if (system != nullptr) system->Tell(Lack::kPreallocation);
      co_return absl::OkStatus();
    case -EINVAL:
    case -ENODEV:
    case -EPERM: co_return absl::OkStatus();
    default: co_return sys::SysStatus(result, "fallocate");
  }
}

Task<absl::Status> CopyData(Driver* driver, int from, int to, uint64_t size_bytes) {
  std::vector<std::byte> buffer(static_cast<size_t>(std::min<uint64_t>(kCopyBytes, size_bytes)));
  ExtentIterator extents(driver, from, 0, size_bytes, size_bytes);
  Extent extent;
  int more = 0;
  while ((more = extents.Next(&extent)) > 0) {
    for (uint64_t done = 0; extent.is_data && done < extent.length;) {
      const size_t part = static_cast<size_t>(std::min<uint64_t>(buffer.size(), extent.length - done));
      US_CO_ASSIGN_OR_RETURN(const size_t read,
                             co_await ReadAtFull(driver, from, buffer.data(), part, extent.offset + done));
      if (read < part) co_return ErrnoStatus(EIO, "read");
      US_CO_RETURN_IF_ERROR(co_await WriteAtFull(driver, to, buffer.data(), part, extent.offset + done));
      done += part;
    }
  }
  if (more < 0) co_return ErrnoStatus(-more, "lseek");
  co_return TruncateTo(driver, to, size_bytes);
}

absl::Status TruncateTo(Driver* driver, int fd, uint64_t size_bytes) {
  return sys::SysStatus(sys::Ftruncate(driver, fd, size_bytes), "ftruncate");
}

void AdviseSequential(Driver* driver, int fd) {
  sys::Fadvise(driver, fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

void AdviseDontNeed(Driver* driver, int fd, uint64_t offset, uint64_t length) {
  sys::Fadvise(driver, fd, offset, length, POSIX_FADV_DONTNEED);
}

FileIdentity IdentityOf(const Entry& entry) {
  return {.type = entry.type, .id = entry.id, .size_bytes = entry.size_bytes, .mtime = entry.mtime};
}

IdentityMatch CompareIdentity(const FileIdentity& expected, const struct statx& found) {
  Entry entry;
  if (!EntryFromStatx(found, false, &entry)) return IdentityMatch::kOther;
  if (entry.type != expected.type || entry.id != expected.id) return IdentityMatch::kOther;
  if (entry.type == FileType::kDirectory) return IdentityMatch::kSame;
  if (entry.type == FileType::kRegular && entry.size_bytes != expected.size_bytes) return IdentityMatch::kModified;
  return entry.mtime == expected.mtime ? IdentityMatch::kSame : IdentityMatch::kModified;
}

absl::Status StatDescriptor(Driver* driver, int fd, struct statx* out) {
  return sys::SysStatus(sys::Statx(driver, fd, "", AT_EMPTY_PATH, kEntryStatxMask, out), "statx");
}

absl::Status StatAt(Driver* driver, int dirfd, const char* name, struct statx* out) {
  return sys::SysStatus(sys::Statx(driver, dirfd, name, AT_SYMLINK_NOFOLLOW, kEntryStatxMask, out), "statx");
}

absl::StatusOr<SourceFile> OpenSourceFile(Driver* driver, int dirfd, const char* name) {
  // O_NONBLOCK: a FIFO put there meanwhile must not hang the reader. O_NOATIME needs ownership or CAP_FOWNER.
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int fd = sys::Openat(driver, dirfd, name, kFlags | O_NOATIME);
  if (fd == -EPERM) fd = sys::Openat(driver, dirfd, name, kFlags);
  if (fd < 0) return ErrnoStatus(-fd, "open");
  SourceFile file;
  file.fd.Reset(fd);
  US_RETURN_IF_ERROR(StatDescriptor(driver, fd, &file.stat));
  if (!S_ISREG(file.stat.stx_mode))
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "open: no regular file any more");
  return file;
}

}  // namespace uringsync
