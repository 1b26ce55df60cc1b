#include "engine/transfer/range_queue.h"

#include <algorithm>

namespace uringsync {

std::optional<FileRange> RangeQueue::Take() {
  std::lock_guard lock(mutex_);
  if (next_ >= size_bytes_) return std::nullopt;
  FileRange range{.offset = next_, .length = std::min(range_bytes_, size_bytes_ - next_)};
  if (!holes_.empty()) range.length = std::min(range.length, holes_.front().offset - next_);
  next_ += range.length;
  SkipHoles();
  return range;
}

bool RangeQueue::empty() const {
  std::lock_guard lock(mutex_);
  return next_ >= size_bytes_;
}

void RangeQueue::Close() {
  std::lock_guard lock(mutex_);
  next_ = size_bytes_;
  holes_.clear();
}

uint64_t RangeQueue::AddHoles(const ExtentList& list, uint64_t begin) {
  std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  uint64_t at = begin;
  const auto add = [&](uint64_t end) {
    bytes += end - at;
    // What was taken by now is asked for.
    const uint64_t from = std::max(at, next_);
    if (from < end) holes_.push_back({.offset = from, .length = end - from});
  };
  for (const Extent& extent : list.extents) {
    add(extent.offset);
    at = extent.offset + extent.length;
  }
  add(list.covered);
  SkipHoles();
  return bytes;
}

uint64_t RangeQueue::skipped_bytes() const {
  std::lock_guard lock(mutex_);
  return skipped_;
}

void RangeQueue::SkipHoles() {
  while (!holes_.empty() && holes_.front().offset <= next_) {
    const uint64_t end = holes_.front().offset + holes_.front().length;
    skipped_ += end - next_;
    next_ = end;
    holes_.pop_front();
  }
}

}  // namespace uringsync
