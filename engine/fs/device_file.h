// Devices whose contents count as those of a file (rsync's --copy-devices and --write-devices): how large they are, and
// how they are opened without opening anything else by mistake.
//
// A block device has so many bytes; a character device has none, and is never opened for reading.
//
// Thread rule: functions; the thread that owns `driver`.
// Use:  US_ASSIGN_OR_RETURN(SourceFile disk, OpenDevice(driver, dirfd, name));   // disk.stat is that of a regular file
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/fs/file.h"
#include "engine/ring/driver.h"

namespace uringsync {

bool IsDevice(const struct statx& stat);
inline bool IsDevice(FileType type) {
  return type == FileType::kBlockDevice || type == FileType::kCharDevice;
}

// Bytes of the block device behind `fd`. Errors carry errno.
absl::StatusOr<uint64_t> DeviceBytes(Driver* driver, int fd);

// Makes `stat` of a device that of a regular file with so many bytes, none of them a hole. Its status change time is
// left out: it says nothing of contents.
void ShowAsFile(uint64_t bytes, struct statx* stat);

// `name` in `dirfd`, not followed, which is looked at before it is opened. NotFound; FailedPrecondition without errno:
// no device; errors of opening it. Of a character device the descriptor only names it.
absl::StatusOr<SourceFile> OpenDevice(Driver* driver, int dirfd, const char* name);
// The same of an object that is pinned (O_PATH) and was looked at.
absl::StatusOr<SourceFile> OpenPinnedDevice(Driver* driver, UniqueFd pinned, const struct statx& stat);

// The device that `expected` describes, number included, open for writing. Aborted: something else is there. NoSpace
// (ENOSPC): a block device that is smaller than `bytes`.
absl::StatusOr<UniqueFd> OpenDeviceToWrite(Driver* driver, int dirfd, const char* name, const Entry& expected,
                                           uint64_t bytes);

// Makes the entry of a device that of a file which was modified at `now`: type, size, what it takes. 0, or the errno of
// the look.
int EntryAsFile(Driver* driver, UniqueFd pinned, const FileTime& now, Entry* entry);

}  // namespace uringsync
