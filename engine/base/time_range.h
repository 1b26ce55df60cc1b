// TimeRange: the times that a file system keeps. What lies outside is kept as the nearest limit, as the kernel clamps it.
//
// A value; any thread. Use:  range.Clamp(entry.mtime)
#pragma once

#include <cstdint>
#include <limits>

#include "engine/base/entry.h"

namespace uringsync {

struct TimeRange {
  int64_t min_seconds = std::numeric_limits<int64_t>::min();
  int64_t max_seconds = std::numeric_limits<int64_t>::max();

  // The limits themselves are kept without nanoseconds.
  FileTime Clamp(const FileTime& time) const {
    if (time.seconds <= min_seconds) return {min_seconds, 0};
    if (time.seconds >= max_seconds) return {max_seconds, 0};
    return time;
  }
  friend bool operator==(const TimeRange&, const TimeRange&) = default;
};

}  // namespace uringsync
