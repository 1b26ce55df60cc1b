// Regular files: whole reads and writes over the ring, sizes, source files and their identity.
//
// Thread rule: a coroutine of the shard that owns `driver`. Buffers must stay until the task has ended.
// Use:  US_CO_ASSIGN_OR_RETURN(size_t n, co_await ReadAtFull(driver, fd, buffer.data(), 65536, 0));
#pragma once

#include <linux/stat.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/unique_fd.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Reads `length` bytes at `offset`, looping over short results. Returns the bytes read: less than asked only at the end
// of the file. `registered_buffer` and `background` as in Op.
Task<absl::StatusOr<size_t>> ReadAtFull(Driver* driver, int fd, void* buffer, size_t length, uint64_t offset,
                                        int registered_buffer = -1, bool background = false);
// A buffered write up to this size runs inline: ext4 and tmpfs take no buffered write without blocking, so the ring
// would hand each to an io-wq worker, which costs more than the copy (docs/engine.md, "Small writes").
constexpr size_t kInlineWriteBytes = 64 << 10;
// Writes all of it, looping over short results; ResourceExhausted (ENOSPC, EDQUOT), DataLoss (EIO), ...
Task<absl::Status> WriteAtFull(Driver* driver, int fd, const void* buffer, size_t length, uint64_t offset,
                               int registered_buffer = -1, bool background = false);
// Makes ring writes to `fd` run within the submission where that is known to cost less than the worker that the kernel
// would hand them to: on tmpfs, which never waits for a device (docs/decisions/0002-small-writes-inline.md). For a file
// that only this process has open; nothing changes elsewhere.
void AllowInlineWrites(Driver* driver, int fd);
// fsync; after an error the pages count as clean: stage the file again, never retry the fsync.
Task<absl::Status> SyncFile(Driver* driver, int fd);
// The same for what has its name already, so that no later call would fail if the file system was shut down meanwhile:
// an fsync alone may succeed there and have written nothing (xfs).
Task<absl::Status> SyncInPlace(Driver* driver, int fd);
// fsync of a directory that is open for reading. Unimplemented, with errno: its file system does that for none, which
// was told, and nothing in it counts as durable.
Task<absl::Status> SyncDirectory(Driver* driver, const Directory& directory);
bool IsUnsyncable(const absl::Status& status);
// Allocates blocks for [0, size_bytes) without changing the size. A file system that cannot is no error, and where
// `system` is given it is asked once, and the user told; ENOSPC is one.
Task<absl::Status> Preallocate(Driver* driver, int fd, uint64_t size_bytes, FileSystemFacts* system = nullptr);
// The data of `from`, `size_bytes` long, into the empty file `to`, also of another file system; holes stay holes.
Task<absl::Status> CopyData(Driver* driver, int from, int to, uint64_t size_bytes);
absl::Status TruncateTo(Driver* driver, int fd, uint64_t size_bytes);
// Read-ahead and cache hints; best effort.
void AdviseSequential(Driver* driver, int fd);
void AdviseDontNeed(Driver* driver, int fd, uint64_t offset, uint64_t length);

// What a manifest promised of a file, to be recognised again before and after its contents are read.
struct FileIdentity {
  FileType type = FileType::kRegular;
  FileId id;
  uint64_t size_bytes = 0;
  FileTime mtime;
};
FileIdentity IdentityOf(const Entry& entry);

enum class IdentityMatch : uint8_t {
  kSame,
  kModified,  // the same object with another size or mtime
  kOther      // another object or type
};
// Size counts for regular files only; mtime for everything but directories, whose mtime moves with their entries.
IdentityMatch CompareIdentity(const FileIdentity& expected, const struct statx& found);

// statx of an open descriptor with everything that identities and entries need.
absl::Status StatDescriptor(Driver* driver, int fd, struct statx* out);
// statx of `name` in `dirfd`, without following.
absl::Status StatAt(Driver* driver, int dirfd, const char* name, struct statx* out);

struct SourceFile {
  UniqueFd fd;
  struct statx stat {};
};
// Opens `name` in `dirfd` for reading with O_NOFOLLOW|O_NONBLOCK|O_NOCTTY, O_NOATIME where it is permitted, and stats
// it. A FIFO, device or socket in its place never blocks and is refused: FailedPrecondition without errno. Compare the
// identity before reading. NotFound, PermissionDenied, FailedPrecondition (ELOOP: a symlink), ...
absl::StatusOr<SourceFile> OpenSourceFile(Driver* driver, int dirfd, const char* name);

}  // namespace uringsync
