// Throttle: keeps the content bytes of a session below a rate (--bwlimit), all its connections and shards together.
//
// TokenBucket is the arithmetic: pure, with the caller's clock. Bytes are taken before they move; who takes more than
// there is waits until the debt is paid, so the long-run rate is exact whatever the sizes. Idle time earns no more than
// a burst.
//
// Thread rule: TokenBucket one thread; Throttle any thread (it locks; a session takes some hundred times a second).
// Use:  co_await throttle->Take(driver, bytes);
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

#include "engine/coro/task.h"
#include "engine/ring/driver.h"

namespace uringsync {

class TokenBucket {
 public:
  using Time = std::chrono::nanoseconds;  // since any moment, steady
  // What idle time may save up.
  static constexpr Time kBurst = std::chrono::milliseconds(100);

  // `bytes_per_second` is at least 1.
  TokenBucket(uint64_t bytes_per_second, Time now) : rate_(static_cast<double>(bytes_per_second)), free_at_(now) {}

  // Takes `bytes`; returns how long to wait before they may move, 0 or more.
  Time Take(uint64_t bytes, Time now);

 private:
  const double rate_;
  Time free_at_;  // when everything taken so far has passed
};

class Throttle {
 public:
  // A wait looks this often whether it was stopped.
  static constexpr std::chrono::milliseconds kSlice{100};
  // The unit of a limited session's reads and messages: an eighth of a second's worth, within these bounds. Larger ones
  // would make a slow session a series of bursts.
  static constexpr uint32_t kLeastUnit = 4 << 10;
  static constexpr uint32_t kLargestUnit = 1 << 20;

  explicit Throttle(uint64_t bytes_per_second);

  // Suspends until `bytes` may move. After Stop at once.
  Task<void> Take(Driver* driver, uint64_t bytes);
  void Stop() { stopped_.store(true, std::memory_order_relaxed); }
  uint64_t bytes_per_second() const { return bytes_per_second_; }
  uint32_t unit_bytes() const;

 private:
  const uint64_t bytes_per_second_;
  std::mutex mutex_;
  TokenBucket bucket_;
  std::atomic<bool> stopped_{false};
};

}  // namespace uringsync
