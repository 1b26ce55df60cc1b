#include "engine/transfer/rate_meter.h"

namespace uringsync {

void RateMeter::Begin(Clock::time_point now) {
  std::lock_guard lock(mutex_);
  if (active_++ == 0) since_ = now;
}

void RateMeter::End(uint64_t bytes, Clock::time_point now) {
  std::lock_guard lock(mutex_);
  busy_seconds_ += std::chrono::duration<double>(now - since_).count();
  since_ = now;
  --active_;
  bytes_ += bytes;
  if (bytes_ < kWindowBytes) return;
  bytes_ /= 2;
  busy_seconds_ /= 2;
}

double RateMeter::rate() const {
  std::lock_guard lock(mutex_);
  if (bytes_ < kEnoughBytes || busy_seconds_ <= 0) return 0;
  return static_cast<double>(bytes_) / busy_seconds_;
}

}  // namespace uringsync
