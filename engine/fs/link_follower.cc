#include "engine/fs/link_follower.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/syscalls.h"
#include "engine/fs/xattrs.h"

namespace uringsync {
namespace {

constexpr int kFileFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

uint64_t ResolveBits(const FollowBase& base) {
  return RESOLVE_NO_MAGICLINKS | (base.beneath ? uint64_t{RESOLVE_BENEATH} : 0);
}

}  // namespace

absl::StatusOr<UniqueFd> PinFollowed(Driver* driver, const LinkPlace& place, struct statx* stat) {
  const FollowBase& whole = place.whole;
  const int fd = whole.beneath ? OpenResolving(driver, whole.directory->fd(), whole.path(), O_PATH, ResolveBits(whole))
                               : OpenResolving(driver, place.dirfd, place.name, O_PATH, ResolveBits(whole));
  if (fd < 0) return ErrnoStatus(-fd, "follow");
  UniqueFd pinned(fd);
  US_RETURN_IF_ERROR(StatDescriptor(driver, fd, stat));
  return pinned;
}

absl::StatusOr<SourceFile> OpenFollowedFile(Driver* driver, const LinkPlace& place) {
  // Pinned and looked at before it is opened: the opening of a device may do something.
  SourceFile file;
  US_ASSIGN_OR_RETURN(const UniqueFd pinned, PinFollowed(driver, place, &file.stat));
  if (!S_ISREG(file.stat.stx_mode))
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "open: no regular file any more");
  const std::string link = ObjectHandle::Pinned(pinned.get()).MagicLink();
  int fd = sys::Openat(driver, AT_FDCWD, link.c_str(), kFileFlags | O_NOATIME);
  if (fd == -EPERM) fd = sys::Openat(driver, AT_FDCWD, link.c_str(), kFileFlags);
  if (fd < 0) return ErrnoStatus(-fd, "open");
  file.fd.Reset(fd);
  US_RETURN_IF_ERROR(StatDescriptor(driver, fd, &file.stat));
  return file;
}

absl::Status StatThroughLink(Driver* driver, const LinkPlace& place, struct statx* out) {
  US_RETURN_IF_ERROR(StatAt(driver, place.dirfd, place.name, out));
  struct statx referent;
  if (S_ISLNK(out->stx_mode) && PinFollowed(driver, place, &referent).ok()) *out = referent;
  return absl::OkStatus();
}

absl::StatusOr<DirectoryPtr> OpenFollowedDirectory(Driver* driver, const FollowBase& whole, DirectoryAccess access) {
  return OpenDirectoryAt(driver, whole.directory->fd(), whole.path(), access, ResolveBits(whole),
                         whole.directory->systems());
}

bool IsLinkInTheWay(const absl::Status& opened) {
  const int error = StatusErrno(opened);
  return error == ELOOP || error == ENOTDIR;
}

}  // namespace uringsync
