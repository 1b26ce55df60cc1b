// Waiting between tries, without blocking a shard and without outliving a cancelled session.
//
// Use:  Backoff backoff;  while (...) { ...; if (!co_await backoff.Wait(driver, token)) break; }
#pragma once

#include <chrono>
#include <cstdint>

#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/ring/driver.h"

namespace uringsync {

class Backoff {
 public:
  static constexpr std::chrono::milliseconds kFirst{100};
  static constexpr std::chrono::milliseconds kLongest{5000};
  // A cancelled wait ends after this.
  static constexpr std::chrono::milliseconds kSlice{200};

  // Sleeps half to all of the present delay (jitter keeps connections apart) and doubles it. False when `cancel` fired.
  Task<bool> Wait(Driver* driver, CancelToken cancel);
  void Reset() { delay_ = kFirst; }

 private:
  std::chrono::nanoseconds delay_ = kFirst;
};

// Sleeps for `time`, in slices. False when `cancel` fired.
Task<bool> SleepUnlessCancelled(Driver* driver, std::chrono::nanoseconds time, CancelToken cancel);

}  // namespace uringsync
