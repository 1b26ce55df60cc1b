#include "engine/fs/device_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/syscalls.h"
#include "engine/fs/xattrs.h"

namespace uringsync {
namespace {

constexpr uint64_t kSectorBytes = 512;
// Not waiting for a medium, and never becoming the terminal of this process.
constexpr int kDeviceFlags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

absl::Status Pin(Driver* driver, int dirfd, const char* name, UniqueFd* pinned, struct statx* stat) {
  const int fd = sys::Openat(driver, dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(-fd, "open");
  pinned->Reset(fd);
  return StatDescriptor(driver, fd, stat);
}

absl::StatusOr<UniqueFd> Reopen(Driver* driver, int pinned, int flags) {
  const std::string link = ObjectHandle::Pinned(pinned).MagicLink();
  const int fd = sys::Openat(driver, AT_FDCWD, link.c_str(), flags | kDeviceFlags);
  if (fd < 0) return ErrnoStatus(-fd, "open");
  return UniqueFd(fd);
}

}  // namespace

bool IsDevice(const struct statx& stat) {
  return S_ISBLK(stat.stx_mode) || S_ISCHR(stat.stx_mode);
}

absl::StatusOr<uint64_t> DeviceBytes(Driver* driver, int fd) {
  uint64_t bytes = 0;
  const int result = sys::Ioctl(driver, fd, BLKGETSIZE64, reinterpret_cast<long>(&bytes));
  if (result < 0) return ErrnoStatus(-result, "ioctl");
  return bytes;
}

void ShowAsFile(uint64_t bytes, struct statx* stat) {
  stat->stx_mode = static_cast<decltype(stat->stx_mode)>((stat->stx_mode & ~S_IFMT) | S_IFREG);
  stat->stx_size = bytes;
  stat->stx_blocks = (bytes + kSectorBytes - 1) / kSectorBytes;
  stat->stx_ctime = {};
}

absl::StatusOr<SourceFile> OpenPinnedDevice(Driver* driver, UniqueFd pinned, const struct statx& stat) {
  if (!IsDevice(stat)) return MakeStatus(absl::StatusCode::kFailedPrecondition, "open: no device");
  SourceFile file;
  file.stat = stat;
  uint64_t bytes = 0;
  if (S_ISBLK(stat.stx_mode)) {
    US_ASSIGN_OR_RETURN(file.fd, Reopen(driver, pinned.get(), O_RDONLY));
    US_ASSIGN_OR_RETURN(bytes, DeviceBytes(driver, file.fd.get()));
  } else {
    file.fd = std::move(pinned);
  }
  ShowAsFile(bytes, &file.stat);
  return file;
}

absl::StatusOr<SourceFile> OpenDevice(Driver* driver, int dirfd, const char* name) {
  UniqueFd pinned;
  struct statx stat{};
  US_RETURN_IF_ERROR(Pin(driver, dirfd, name, &pinned, &stat));
  return OpenPinnedDevice(driver, std::move(pinned), stat);
}

absl::StatusOr<UniqueFd> OpenDeviceToWrite(Driver* driver, int dirfd, const char* name, const Entry& expected,
                                           uint64_t bytes) {
  UniqueFd pinned;
  struct statx stat{};
  US_RETURN_IF_ERROR(Pin(driver, dirfd, name, &pinned, &stat));
  const bool same = CompareIdentity(IdentityOf(expected), stat) == IdentityMatch::kSame && IsDevice(stat) &&
                    stat.stx_rdev_major == expected.rdev_major && stat.stx_rdev_minor == expected.rdev_minor;
  if (!same) return absl::AbortedError("was changed since it was planned");
  US_ASSIGN_OR_RETURN(UniqueFd device, Reopen(driver, pinned.get(), O_RDWR));
  if (!S_ISBLK(stat.stx_mode)) return device;
  US_ASSIGN_OR_RETURN(const uint64_t room, DeviceBytes(driver, device.get()));
  if (bytes > room) return ErrnoStatus(ENOSPC, "write");
  return device;
}

int EntryAsFile(Driver* driver, UniqueFd pinned, const FileTime& now, Entry* entry) {
  struct statx stat{};
  absl::Status looked = StatDescriptor(driver, pinned.get(), &stat);
  absl::StatusOr<SourceFile> file = looked.ok() ? OpenPinnedDevice(driver, std::move(pinned), stat) : looked;
  entry->type = FileType::kRegular;
  entry->rdev_major = entry->rdev_minor = 0;
  entry->mtime = {now.seconds, 0};
  entry->unsettled = true;  // a time proves nothing
  if (!file.ok()) return StatusErrno(file.status()) != 0 ? StatusErrno(file.status()) : EINVAL;
  entry->size_bytes = file->stat.stx_size;
  entry->allocated_bytes = file->stat.stx_blocks * kSectorBytes;
  return 0;
}

}  // namespace uringsync
