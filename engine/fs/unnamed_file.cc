#include "engine/fs/unnamed_file.h"

#include <fcntl.h>

#include <cerrno>
#include <string>

#include "engine/base/errno_status.h"
#include "engine/fs/file_system.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

using How = DirectoryFacts::UnnamedFiles;

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

bool IsRefusalOfUnnamed(int error) {
  return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOSYS || error == ENOENT;
}

}  // namespace

bool MayLinkUnnamed(const ProcessCapabilities& capabilities) {
  return capabilities.can_override_owner || !capabilities.can_chown;
}

absl::StatusOr<UniqueFd> OpenUnnamed(Driver* driver, const Directory& parent, const UnnamedOptions& options) {
  std::atomic<How>& fact = parent.facts().unnamed_files;
  How how = fact.load(std::memory_order_relaxed);
  if (how == How::kUnknown && options.durable && !SyncsUnnamedFiles(driver, parent.fd()))
    fact.store(how = How::kNone, std::memory_order_relaxed);
  if (how == How::kNone) return UniqueFd();
  UniqueFd file(sys::Openat(driver, parent.fd(), ".", O_RDWR | O_TMPFILE | O_CLOEXEC, options.mode));
  if (!file.valid()) {
    const int error = -file.get();
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
  std::atomic<How>& fact = parent.facts().unnamed_files;
  const int result = LinkBy(driver, fact.load(std::memory_order_relaxed), fd, parent, name);
  // A refusal that FindWayToLink could not see, of a security module for instance: the next file here gets a name at
  // once.
  if (result == -EPERM || result == -EACCES || result == -EXDEV || result == -EOPNOTSUPP)
    fact.store(How::kNone, std::memory_order_relaxed);
  return result;
}

}  // namespace uringsync
