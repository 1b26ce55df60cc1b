// LoosenedModes: directories that refused us and were given their owner's write and search permission for the run, and
// the modes that they get back.
//
// A directory whose mode is part of what is synced gets its mode in the last phase anyway; one whose mode is not
// (no --perms), or that only leads to what is synced, has to look afterwards as it did before.
//
// Thread rule: any thread. Use:
//   if (StatusErrno(status) == EACCES && MakeWritable(context, *parent, parent_path)) ...;  // notes it
//   loosened.Restore(driver, &directories);
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/base/rel_path.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"

namespace uringsync {

class LoosenedModes {
 public:
  // `inode` was `before`, mode bits alone, and is `now`.
  void Note(const RelPath& path, uint64_t inode, uint32_t before, uint32_t now);
  bool Holds(const RelPath& path) const;
  // Gives every directory that still is what it was made its old mode, children first, and forgets all of them.
  void Restore(Driver* driver, DirectoryCache* directories);

 private:
  struct Loosened {
    RelPath path;
    uint64_t inode = 0;
    uint32_t before = 0;
    uint32_t now = 0;
  };
  mutable std::mutex mutex_;
  std::vector<Loosened> loosened_;
};

// What an owner needs to make and to remove names in a directory.
constexpr uint32_t kOwnerWriteSearch = 0300;

// fchmod through the magic link of a descriptor: also one that only names its object. 0 or a negative errno.
int ChangeModeOf(Driver* driver, int fd, uint32_t mode);

// unlinkat of what is no directory; a directory that refuses its owner is made writable for that moment. Only while
// nobody else makes it so. 0 or a negative errno: that of the refusal where the mode cannot be changed.
int UnlinkInReadOnly(Driver* driver, int dirfd, const char* name);

}  // namespace uringsync
