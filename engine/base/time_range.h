// TimeRange: the times that a file system keeps. What lies outside is kept as the nearest limit, as the kernel clamps
// it.
//
// A value; any thread. Use:  range.Clamp(entry.mtime)
#pragma once

#include <cstdint>
#include <limits>

#include "engine/base/entry.h"

namespace uringsync {

// `time` cut to a multiple of `granularity_ns` (at least 1), towards the past.
inline FileTime TruncateTime(const FileTime& time, uint32_t granularity_ns) {
  constexpr uint32_t kSecond = 1'000'000'000;
  if (granularity_ns <= 1) return time;
  if (granularity_ns < kSecond) return {time.seconds, time.nanoseconds - time.nanoseconds % granularity_ns};
  const int64_t step = granularity_ns / kSecond;
  int64_t rest = time.seconds % step;
  if (rest < 0) rest += step;
  return {time.seconds - rest, 0};
}

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
