// Semaphore: bounds a fan-out. Waiters are served first come, first served. Thread-safe; waits suspend, never block.
//
// Use:  Semaphore slots(64);
//       { SemaphoreUnits held = co_await slots.Acquire(1);  ... }   // given back at the end of the scope
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>

#include "engine/coro/executor.h"

namespace uringsync {

class Semaphore;

// Units taken from a semaphore; gives them back when destroyed. The semaphore must outlive it.
class SemaphoreUnits {
 public:
  SemaphoreUnits() = default;
  SemaphoreUnits(Semaphore* semaphore, size_t units) : semaphore_(semaphore), units_(units) {}
  SemaphoreUnits(SemaphoreUnits&& other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)), units_(std::exchange(other.units_, 0)) {}
  SemaphoreUnits& operator=(SemaphoreUnits&& other) noexcept;
  ~SemaphoreUnits();
  size_t units() const { return units_; }

 private:
  Semaphore* semaphore_ = nullptr;
  size_t units_ = 0;
};

class Semaphore {
 public:
  explicit Semaphore(size_t capacity) : capacity_(capacity), available_(capacity) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  class Awaiter {
   public:
    Awaiter(Semaphore* semaphore, size_t units) : semaphore_(semaphore), units_(units) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    SemaphoreUnits await_resume() noexcept { return SemaphoreUnits(semaphore_, units_); }

   private:
    friend class Semaphore;
    Semaphore* semaphore_;
    size_t units_;
    std::coroutine_handle<> handle_;
    Executor* executor_ = nullptr;
  };
  // More units than the capacity are cut to the capacity, so that one oversized request can still run, alone.
  Awaiter Acquire(size_t units) { return Awaiter(this, units < capacity_ ? units : capacity_); }
  // Takes the units if they are free now and nobody waits.
  bool TryAcquire(size_t units, SemaphoreUnits* held);
  void Release(size_t units);
  size_t available() const;
  size_t capacity() const { return capacity_; }

 private:
  mutable std::mutex mutex_;
  const size_t capacity_;
  size_t available_;
  std::deque<Awaiter*> waiters_;
};

}  // namespace uringsync
