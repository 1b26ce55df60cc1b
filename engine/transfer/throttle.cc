#include "engine/transfer/throttle.h"

#include <algorithm>

namespace uringsync {
namespace {

TokenBucket::Time Now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

}  // namespace

TokenBucket::Time TokenBucket::Take(uint64_t bytes, Time now) {
  free_at_ = std::max(free_at_, now - kBurst);
  const Time wait = std::max(free_at_ - now, Time(0));
  const std::chrono::duration<double> passes(static_cast<double>(bytes) / rate_);
  // Whatever is asked, the sum stays a time.
  constexpr std::chrono::duration<double> kLongest = std::chrono::hours(24 * 365);
  free_at_ += std::chrono::duration_cast<Time>(std::min(passes, kLongest));
  return wait;
}

Throttle::Throttle(uint64_t bytes_per_second)
    : bytes_per_second_(std::max<uint64_t>(bytes_per_second, 1)), bucket_(bytes_per_second_, Now()) {}

uint32_t Throttle::unit_bytes() const {
  return static_cast<uint32_t>(std::clamp<uint64_t>(bytes_per_second_ / 8, kLeastUnit, kLargestUnit));
}

Task<void> Throttle::Take(Driver* driver, uint64_t bytes) {
  TokenBucket::Time until = Now();
  {
    std::lock_guard lock(mutex_);
    until += bucket_.Take(bytes, until);
  }
  while (!stopped_.load(std::memory_order_relaxed)) {
    const TokenBucket::Time left = until - Now();
    if (left.count() <= 0) co_return;
    Op pause;
    pause.code = OpCode::kTimeout;
    pause.timeout = std::min<TokenBucket::Time>(left, kSlice);
    co_await Await(driver, &pause);
  }
}

}  // namespace uringsync
