// Typed names for the inline system calls of a session: thin wrappers over Driver::Call, so that they are counted and a
// test can make each of them fail.
//
// Every function returns what the kernel returned, or -errno; `name` and `path` are NUL-terminated bytes. Callers that
// build messages turn an error into a Status with SysStatus. Thread rule: as Driver, the shard that owns it. Use: const
// int fd = sys::Openat2(driver, root, "a/b", {.flags = O_RDONLY | O_CLOEXEC, .resolve = sys::kBeneath});
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "engine/base/errno_status.h"
#include "engine/ring/driver.h"

namespace uringsync::sys {

// Resolution beneath a directory descriptor that never follows a link.
constexpr uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

// OK for result ≥ 0, else the Status of -result with `context`.
inline absl::Status SysStatus(long result, std::string_view context) {
  return result >= 0 ? absl::OkStatus() : ErrnoStatus(static_cast<int>(-result), context);
}

inline long Arg(const void* pointer) {
  return reinterpret_cast<long>(pointer);
}

inline int Openat2(Driver* driver, int dirfd, const char* path, open_how how) {
  return static_cast<int>(driver->Call(CallCode::kOpenat2, dirfd, Arg(path), Arg(&how), sizeof(how)));
}
inline int Openat(Driver* driver, int dirfd, const char* path, int flags, mode_t mode = 0) {
  return static_cast<int>(driver->Call(CallCode::kOpenat, dirfd, Arg(path), flags, mode));
}
// stat_flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_STATX_DONT_SYNC, ...
inline int Statx(Driver* driver, int dirfd, const char* name, int stat_flags, unsigned mask, struct statx* out) {
  return static_cast<int>(driver->Call(CallCode::kStatx, dirfd, Arg(name), stat_flags, mask, Arg(out)));
}
inline long Getdents(Driver* driver, int fd, void* buffer, size_t bytes) {
  return driver->Call(CallCode::kGetdents, fd, Arg(buffer), static_cast<long>(bytes));
}
inline long Readlinkat(Driver* driver, int dirfd, const char* name, char* buffer, size_t bytes) {
  return driver->Call(CallCode::kReadlinkat, dirfd, Arg(name), Arg(buffer), static_cast<long>(bytes));
}
inline int Mkdirat(Driver* driver, int dirfd, const char* name, mode_t mode) {
  return static_cast<int>(driver->Call(CallCode::kMkdirat, dirfd, Arg(name), mode));
}
// flags: 0 or AT_REMOVEDIR.
inline int Unlinkat(Driver* driver, int dirfd, const char* name, int flags) {
  return static_cast<int>(driver->Call(CallCode::kUnlinkat, dirfd, Arg(name), flags));
}
// flags: 0, RENAME_NOREPLACE (1), RENAME_EXCHANGE (2).
inline int Renameat2(Driver* driver, int from_dir, const char* from, int to_dir, const char* to, unsigned flags) {
  return static_cast<int>(driver->Call(CallCode::kRenameat2, from_dir, Arg(from), to_dir, Arg(to), flags));
}
inline int Linkat(Driver* driver, int from_dir, const char* from, int to_dir, const char* to, int flags) {
  return static_cast<int>(driver->Call(CallCode::kLinkat, from_dir, Arg(from), to_dir, Arg(to), flags));
}
inline int Symlinkat(Driver* driver, const char* target, int dirfd, const char* name) {
  return static_cast<int>(driver->Call(CallCode::kSymlinkat, Arg(target), dirfd, Arg(name)));
}
inline int Mknodat(Driver* driver, int dirfd, const char* name, mode_t mode, dev_t device) {
  return static_cast<int>(driver->Call(CallCode::kMknodat, dirfd, Arg(name), mode, static_cast<long>(device)));
}
inline int Fchmod(Driver* driver, int fd, mode_t mode) {
  return static_cast<int>(driver->Call(CallCode::kFchmod, fd, mode));
}
// Follows links: only for "/proc/self/fd/N" of a descriptor that we pinned.
inline int Fchmodat(Driver* driver, int dirfd, const char* path, mode_t mode) {
  return static_cast<int>(driver->Call(CallCode::kFchmodat, dirfd, Arg(path), mode));
}
inline int Fchownat(Driver* driver, int dirfd, const char* name, uid_t uid, gid_t gid, int flags) {
  return static_cast<int>(
      driver->Call(CallCode::kFchownat, dirfd, Arg(name), static_cast<long>(uid), static_cast<long>(gid), flags));
}
// `times`: atime, mtime; UTIME_OMIT leaves one alone. A null `name` means `dirfd` itself.
inline int Utimensat(Driver* driver, int dirfd, const char* name, const timespec times[2], int flags) {
  return static_cast<int>(driver->Call(CallCode::kUtimensat, dirfd, Arg(name), Arg(times), flags));
}
inline int Ftruncate(Driver* driver, int fd, uint64_t size_bytes) {
  return static_cast<int>(driver->Call(CallCode::kFtruncate, fd, static_cast<long>(size_bytes)));
}
inline int64_t Lseek(Driver* driver, int fd, int64_t offset, int whence) {
  return driver->Call(CallCode::kLseek, fd, offset, whence);
}
inline int Flock(Driver* driver, int fd, int operation) {
  return static_cast<int>(driver->Call(CallCode::kFlock, fd, operation));
}
inline int Fadvise(Driver* driver, int fd, uint64_t offset, uint64_t length, int advice) {
  return static_cast<int>(
      driver->Call(CallCode::kFadvise, fd, static_cast<long>(offset), static_cast<long>(length), advice));
}
inline int Fcntl(Driver* driver, int fd, int command, long argument = 0) {
  return static_cast<int>(driver->Call(CallCode::kFcntl, fd, command, argument));
}
inline int Ioctl(Driver* driver, int fd, unsigned long request, long argument) {
  return static_cast<int>(driver->Call(CallCode::kIoctl, fd, static_cast<long>(request), argument));
}
// Writes everything that the file system of `fd` has in memory; blocks until that is done.
inline int Syncfs(Driver* driver, int fd) {
  return static_cast<int>(driver->Call(CallCode::kSyncfs, fd));
}
// Start of write-back without waiting; best effort.
inline int StartWriteback(Driver* driver, int fd, uint64_t offset, uint64_t length) {
  constexpr int kSyncFileRangeWrite = 2;
  return static_cast<int>(driver->Call(CallCode::kSyncFileRange, fd, static_cast<long>(offset),
                                       static_cast<long>(length), kSyncFileRangeWrite));
}
inline int64_t Pread(Driver* driver, int fd, void* buffer, size_t bytes, uint64_t offset) {
  return driver->Call(CallCode::kPread, fd, Arg(buffer), static_cast<long>(bytes), static_cast<long>(offset));
}
inline int64_t Pwrite(Driver* driver, int fd, const void* buffer, size_t bytes, uint64_t offset) {
  return driver->Call(CallCode::kPwrite, fd, Arg(buffer), static_cast<long>(bytes), static_cast<long>(offset));
}

}  // namespace uringsync::sys
