// Clones: extents that two files of one file system share until one of them is written (btrfs, xfs with reflink=1).
//
// Thread rule: the shard that owns `driver`. A clone waits for dirty pages of the source file and for the journal: it
// may take a while for a file with many extents. Use:  if (CloneFile(driver, staged, source) < 0) ... copy instead ...
#pragma once

#include <cstdint>

#include "engine/ring/driver.h"

namespace uringsync {

// Whether whole files are cloned from a source on the same file system.
enum class ReflinkMode : uint8_t {
  kAuto,    // where that works; else they are copied
  kAlways,  // a file that cannot be cloned is an error
  kNever
};

// All of `from`, as it is now, becomes the contents of `to`: a snapshot, even while others write. 0 or -errno; `to` may
// then hold a part of it.
int CloneFile(Driver* driver, int to, int from);
// `length` bytes; offsets and length in whole blocks of the file system (4096 is right on all), or up to the end of
// `from`. 0 or -errno.
int CloneRange(Driver* driver, int to, uint64_t to_offset, int from, uint64_t from_offset, uint64_t length);
// True for the errno that says that no file of the one file system will ever be cloned into the other.
bool NeverClones(int error);

}  // namespace uringsync
