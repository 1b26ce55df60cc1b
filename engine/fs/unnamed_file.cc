#include "engine/fs/unnamed_file.h"

#include <fcntl.h>

#include <cerrno>
#include <string>

#include "engine/base/errno_status.h"
#include "engine/fs/file_system.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

using How = FileSystemFacts::UnnamedFiles;

int LinkBy(Driver* driver, How how, int fd, const Directory& parent, const char* name) {
  if (how == How::kByDescriptor) return sys::Linkat(driver, fd, "", parent.fd(), name, AT_EMPTY_PATH);
  const std::string magic_link = "/proc/self/fd/" + std::to_string(fd);
  return sys::Linkat(driver, AT_FDCWD, magic_link.c_str(), parent.fd(), name, AT_SYMLINK_FOLLOW);
}

// Nothing can be linked as ".": EEXIST says that everything up to there is permitted.
How FindWayToLink(Driver* driver, int fd, const Directory& parent) {
  for (const How how : {How::kByDescriptor, How::kThroughProc}) {
    if (LinkBy(driver, how, fd, parent, ".") == -EEXIST) return how;
  }
  return How::kNone;
}

// Of the file system, or of a kernel that knows none.
bool IsRefusalOfUnnamed(int error) {
  return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOSYS;
}

}  // namespace

bool MayLinkUnnamed(const ProcessCapabilities& capabilities) {
  return capabilities.can_override_owner || !capabilities.can_chown;
}

bool MayHaveUnnamed(Driver* driver, const Directory& parent) {
  return !parent.facts().no_unnamed_files.load(std::memory_order_relaxed) &&
         parent.file_system(driver).unnamed_files.load(std::memory_order_relaxed) != How::kNone;
}

absl::StatusOr<UniqueFd> OpenUnnamed(Driver* driver, const Directory& parent, const UnnamedOptions& options) {
  if (parent.facts().no_unnamed_files.load(std::memory_order_relaxed)) return UniqueFd();
  std::atomic<How>& fact = parent.file_system(driver).unnamed_files;
  How how = fact.load(std::memory_order_relaxed);
  if (how == How::kUnknown && options.durable && !SyncsUnnamedFiles(driver, parent.fd()))
    fact.store(how = How::kNone, std::memory_order_relaxed);
  if (how == How::kNone) return UniqueFd();
  UniqueFd file(sys::Openat(driver, parent.fd(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, options.mode));
  if (!file.valid()) {
    const int error = -file.get();
    // Of a directory that is gone: to make a named file there tells that.
    if (error == ENOENT) return UniqueFd();
    if (!IsRefusalOfUnnamed(error)) return ErrnoStatus(error, "create");
    fact.store(How::kNone, std::memory_order_relaxed);
    return UniqueFd();
  }
  if (how == How::kUnknown) {
    how = FindWayToLink(driver, file.get(), parent);
    fact.store(how, std::memory_order_relaxed);
    if (how == How::kNone) return UniqueFd();
  }
  return file;
}

int LinkUnnamed(Driver* driver, int fd, const Directory& parent, const char* name) {
  const How how = parent.file_system(driver).unnamed_files.load(std::memory_order_relaxed);
  const int result = LinkBy(driver, how, fd, parent, name);
  // A refusal that FindWayToLink could not see, of a security module for instance: the next file here gets a name at
  // once.
  if (result == -EPERM || result == -EACCES || result == -EXDEV || result == -EOPNOTSUPP)
    parent.facts().no_unnamed_files.store(true, std::memory_order_relaxed);
  return result;
}

}  // namespace uringsync
