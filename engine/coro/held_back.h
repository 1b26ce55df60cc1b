// HeldBack: the part of a semaphore's capacity that is not to be used yet. It only ever shrinks.
//
// Thread rule: one thread; the semaphore itself may be used by any. The semaphore must outlive it.
// Use:  Semaphore slots(4096);  HeldBack rest(&slots, 192);  ...  rest.Allow(800);   // from now on 800 at once
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "engine/coro/semaphore.h"

namespace uringsync {

class HeldBack {
 public:
  // What is held is given back in this many steps.
  static constexpr size_t kSteps = 32;

  // Right after the semaphore was made: leaves `usable` units of it.
  HeldBack(Semaphore* semaphore, size_t usable) : usable_(std::min(usable, semaphore->capacity())) {
    const size_t step = (semaphore->capacity() - usable_ + kSteps - 1) / kSteps;
    for (size_t left = semaphore->capacity() - usable_; left > 0;) {
      SemaphoreUnits units;
      if (!semaphore->TryAcquire(std::min(step, left), &units)) break;
      left -= units.units();
      held_.push_back(std::move(units));
    }
  }
  // At least `usable` units may be used from now on, if there are so many.
  void Allow(size_t usable) {
    while (usable_ < usable && !held_.empty()) {
      usable_ += held_.back().units();
      held_.pop_back();
    }
  }

 private:
  size_t usable_;
  std::vector<SemaphoreUnits> held_;
};

}  // namespace uringsync
