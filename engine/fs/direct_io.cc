#include "engine/fs/direct_io.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// How much of a transfer may go past the cache, from its beginning.
size_t DirectPart(const DataFile& file, const void* memory, size_t length, uint64_t offset) {
  const bool alike = (reinterpret_cast<uintptr_t>(memory) | offset) % kDirectAlignment == 0;
  return file.direct >= 0 && alike ? length / kDirectAlignment * kDirectAlignment : 0;
}

// What a file system says to a direct transfer that it cannot make, whatever open(2) said.
bool IsRefusal(int error) {
  return error == EINVAL || error == EOPNOTSUPP;
}

Op DirectOp(OpCode code, const DataFile& file, std::byte* memory, size_t length, uint64_t offset) {
  // One operation moves less than 2 GiB.
  constexpr size_t kMostBytes = size_t{1} << 30;
  Op op;
  op.code = code;
  op.fd = file.direct;
  op.buffer = memory;
  op.length = static_cast<uint32_t>(std::min(length, kMostBytes));
  op.offset = offset;
  return op;
}

// What a transfer moves and how; `length` is that of the part that may go past the cache (DirectPart).
struct DirectRange {
  OpCode code;
  std::byte* memory;
  size_t length;
  uint64_t offset;
  int registered_buffer;
  bool background;
};

// Bytes that went past the cache. At the end of the file, and after a refusal, they are fewer than were asked for: the
// rest goes through the cache, which tells which of them it was.
Task<absl::StatusOr<size_t>> TransferDirect(Driver* driver, DataFile file, DirectRange range) {
  size_t done = 0;
  while (done < range.length) {
    const uint64_t offset = range.offset + done;
    Op op = DirectOp(range.code, file, range.memory + done, range.length - done, offset);
    op.registered_buffer = range.registered_buffer;
    op.background = range.background;
    const int64_t n = co_await Await(driver, &op);
    if (n < 0 && !IsRefusal(static_cast<int>(-n))) {
      const char* operation = range.code == OpCode::kRead ? "read at " : "write at ";
      co_return ErrnoStatus(static_cast<int>(-n), operation + std::to_string(offset));
    }
    if (n > 0) done += static_cast<size_t>(n);
    if (n <= 0 || done % kDirectAlignment != 0) break;
  }
  co_return done;
}

}  // namespace

Task<absl::StatusOr<size_t>> ReadData(Driver* driver, DataFile file, void* buffer, size_t length, uint64_t offset,
                                      int registered_buffer, bool background) {
  auto* const memory = static_cast<std::byte*>(buffer);
  const size_t direct = DirectPart(file, buffer, length, offset);
  size_t done = 0;
  if (direct > 0) {
    const DirectRange range{OpCode::kRead, memory, direct, offset, registered_buffer, background};
    US_CO_ASSIGN_OR_RETURN(done, co_await TransferDirect(driver, file, range));
  }
  if (done == length) co_return done;
  US_CO_ASSIGN_OR_RETURN(const size_t rest, co_await ReadAtFull(driver, file.fd, memory + done, length - done,
                                                                offset + done, registered_buffer, background));
  co_return done + rest;
}

Task<absl::Status> WriteData(Driver* driver, DataFile file, const void* buffer, size_t length, uint64_t offset,
                             int registered_buffer, bool background) {
  // Op has one pointer for both directions; a write does not change what it points to.
  auto* const memory = const_cast<std::byte*>(static_cast<const std::byte*>(buffer));
  const size_t direct = DirectPart(file, buffer, length, offset);
  size_t done = 0;
  if (direct > 0) {
    const DirectRange range{OpCode::kWrite, memory, direct, offset, registered_buffer, background};
    US_CO_ASSIGN_OR_RETURN(done, co_await TransferDirect(driver, file, range));
  }
  if (done == length) co_return absl::OkStatus();
  co_return co_await WriteAtFull(driver, file.fd, memory + done, length - done, offset + done, registered_buffer,
                                 background);
}

Task<absl::Status> PrepareDirectWrites(Driver* driver, DataFile file, uint64_t size_bytes, bool dense) {
  US_CO_RETURN_IF_ERROR(TruncateTo(driver, file.fd, size_bytes));
  if (!dense) co_return absl::OkStatus();
  co_return co_await Preallocate(driver, file.fd, size_bytes);
}

void DirectIo::Refused(const std::string& reason) {
  if (on_refused_ == nullptr || told_.exchange(true)) return;
  on_refused_("direct I/O: " + reason + "; its large files go through the page cache");
}

UniqueFd DirectIo::Open(Driver* driver, int fd, int access) {
  if (mode_ != DirectIoMode::kOn) return {};
  struct statfs system;
  if (driver->Call(CallCode::kFstatfs, fd, sys::Arg(&system)) == 0 &&
      (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC)) {
    Refused("a file system in memory has nothing behind its cache");
    return {};
  }
  // The same inode, whatever its name is by now, or if it has none yet.
  const std::string same = "/proc/self/fd/" + std::to_string(fd);
  constexpr int kFlags = O_DIRECT | O_NOCTTY | O_CLOEXEC;
  int opened = sys::Openat(driver, AT_FDCWD, same.c_str(), access | kFlags | O_NOATIME);
  if (opened == -EPERM) opened = sys::Openat(driver, AT_FDCWD, same.c_str(), access | kFlags);
  if (opened < 0 && IsRefusal(-opened))
    Refused("a file system does not do it (" + std::generic_category().message(-opened) + ")");
  return UniqueFd(opened);
}

}  // namespace uringsync
