#include "agent/backoff.h"

#include <algorithm>
#include <random>

namespace uringsync {

Task<bool> SleepUnlessCancelled(Driver* driver, std::chrono::nanoseconds time, CancelToken cancel) {
  while (time.count() > 0 && !cancel.cancelled()) {
    std::chrono::nanoseconds slice = std::min<std::chrono::nanoseconds>(time, Backoff::kSlice);
    Op op;
    op.code = OpCode::kTimeout;
    op.timeout = slice;
    co_await Await(driver, &op);
    time -= slice;
  }
  co_return !cancel.cancelled();
}

Task<bool> Backoff::Wait(Driver* driver, CancelToken cancel) {
  thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<int64_t> jitter(delay_.count() / 2, delay_.count());
  std::chrono::nanoseconds time{jitter(random)};
  delay_ = std::min<std::chrono::nanoseconds>(delay_ * 2, kLongest);
  return SleepUnlessCancelled(driver, time, std::move(cancel));
}

}  // namespace uringsync
