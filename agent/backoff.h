// Waiting between tries, and for how long it is worth while, without blocking a shard and without outliving a cancelled session.
//
// Use:  Backoff backoff;  while (...) { ...; if (!co_await backoff.Wait(driver, token)) break; }
#pragma once

#include <chrono>
#include <cstdint>

#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Whether a data connection is dialled again. One that was never there gets a few tries in a bounded time: what is wrong
// then is mostly no cut, and the user wants to know. One that was there is tried again for as long as the session is to
// ride out a cut, or a few times where its coordinator knows nothing of that.
class DialPatience {
 public:
  static constexpr int kTries = 6;
  static constexpr std::chrono::seconds kFirstConnection{20};
  using Clock = std::chrono::steady_clock;
  explicit DialPatience(std::chrono::milliseconds ride_out, Clock::time_point now = Clock::now())
      : ride_out_(ride_out), since_(now) {}

  // A connection was there until `now`.
  void Lost(Clock::time_point now) {
    since_ = now;
    tries_ = 0;
  }
  // A try has failed. `ever`: the session had a connection once, this or another one.
  bool TryAgain(bool ever, Clock::time_point now) {
    ++tries_;
    if (!ever) return tries_ < kTries && now - since_ < kFirstConnection;
    return ride_out_.count() > 0 ? now - since_ < ride_out_ : tries_ < kTries;
  }

 private:
  const std::chrono::milliseconds ride_out_;
  Clock::time_point since_;
  int tries_ = 0;
};

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
