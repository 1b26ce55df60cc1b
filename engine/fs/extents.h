// Data and holes of a regular file within a range, by SEEK_DATA and SEEK_HOLE (lseek(2)).
//
// Extents come in order, touch each other and cover [begin, min(end, size)) exactly. A file system that does not report
// holes yields one data extent, and is asked no more. The descriptor's position is moved: no two iterations of one descriptor at once. Thread
// rule: the shard that owns `driver`. Use:  ExtentIterator it(driver, fd, 0, size);  Extent e;  while ((r =
// it.Next(&e)) > 0) ...
#pragma once

#include <cstdint>

#include "engine/fs/file_system_facts.h"
#include "engine/ring/driver.h"

namespace uringsync {

struct Extent {
  uint64_t offset = 0;  // bytes
  uint64_t length = 0;  // bytes, > 0
  bool is_data = true;
};

class ExtentIterator {
 public:
  // Borrows `fd`. `size_bytes` is the file's size as known to the caller: the range is cut to it, and a file that
  // shrank meanwhile reads as a hole there (its identity check fails afterwards). `system`, borrowed: where it lies, to
  // be told; null: nobody remembers.
  ExtentIterator(Driver* driver, int fd, uint64_t begin, uint64_t end, uint64_t size_bytes,
                 FileSystemFacts* system = nullptr);
  // 1: `extent` is filled; 0: the range is covered; -errno.
  int Next(Extent* extent);

 private:
  // Whether lseek(2) said that holes are not told.
  bool IsRefused(int64_t result);

  Driver* driver_;
  int fd_;
  FileSystemFacts* system_;
  uint64_t position_;
  uint64_t end_;
  bool all_data_ = false;  // the file system does not report holes
  bool at_data_ = false;   // position_ is known to be data: the last answer said so

  // Told as data when the file changes under the iteration, before asking again.
  static constexpr uint64_t kRecheckBytes = 64 << 10;
};

}  // namespace uringsync
