#include "engine/fs/clone.h"

#include <linux/fs.h>

#include <cerrno>

#include "engine/fs/syscalls.h"

namespace uringsync {

int CloneFile(Driver* driver, int to, int from) {
  return sys::Ioctl(driver, to, FICLONE, from);
}

int CloneRange(Driver* driver, int to, uint64_t to_offset, int from, uint64_t from_offset, uint64_t length) {
  file_clone_range range{};
  range.src_fd = from;
  range.src_offset = from_offset;
  range.src_length = length;
  range.dest_offset = to_offset;
  return sys::Ioctl(driver, to, FICLONERANGE, sys::Arg(&range));
}

bool NeverClones(int error) {
  return error == EOPNOTSUPP || error == EXDEV || error == ENOTTY || error == ENOSYS;
}

}  // namespace uringsync
