// RangeQueue: what of a large file is still to be asked for, range by range, without the holes that are known.
//
// Holes may become known while ranges are taken. Each hole is skipped as soon as the queue gets there; what was taken
// before stays taken.
//
// Thread rule: any thread.
// Use:  RangeQueue queue(size_bytes, kRangeBytes);
//       while (std::optional<FileRange> range = queue.Take()) ...
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "engine/transfer/extent_list.h"

namespace uringsync {

struct FileRange {
  uint64_t offset = 0;
  uint64_t length = 0;
};

class RangeQueue {
 public:
  // From `start` on.
  RangeQueue(uint64_t size_bytes, uint64_t range_bytes, uint64_t start = 0)
      : size_bytes_(size_bytes), range_bytes_(range_bytes), next_(start) {}

  // The next range, at most `range_bytes` long; nullopt: none is left.
  std::optional<FileRange> Take();
  // Nothing is left to take.
  bool empty() const;
  // Nothing is left from now on.
  void Close();
  // `list` tells what lies from `begin` on; lists come in order and touch each other. Returns the bytes of the holes in
  // it.
  uint64_t AddHoles(const ExtentList& list, uint64_t begin);
  // Bytes of holes that will not be asked for.
  uint64_t skipped_bytes() const;

 private:
  void SkipHoles();

  const uint64_t size_bytes_;
  const uint64_t range_bytes_;
  mutable std::mutex mutex_;
  uint64_t next_;
  uint64_t skipped_ = 0;
  std::deque<FileRange> holes_;  // beyond next_, ascending; bounded by the lists of one file (kMaxExtentLists)
};

}  // namespace uringsync
