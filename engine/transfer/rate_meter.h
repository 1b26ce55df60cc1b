// RateMeter: bytes a second while at least one transfer was under way, over the recent past.
//
// Thread rule: any thread.
// Use:  meter.Begin();  ... one transfer ...  meter.End(bytes);   double rate = meter.rate();
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace uringsync {

class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;
  // Less says nothing: start-up and round trips.
  static constexpr uint64_t kEnoughBytes = 256 << 10;
  // Beyond that the past counts half.
  static constexpr uint64_t kWindowBytes = uint64_t{512} << 20;

  void Begin(Clock::time_point now = Clock::now());
  // `bytes` of one transfer that began; 0 for one that came to nothing.
  void End(uint64_t bytes, Clock::time_point now = Clock::now());
  // 0 while too little was seen.
  double rate() const;

 private:
  mutable std::mutex mutex_;
  size_t active_ = 0;
  Clock::time_point since_;  // of which busy time is counted, while active
  double busy_seconds_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace uringsync
