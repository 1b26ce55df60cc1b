// Signal: one coroutine waits for something that others of its executor do.
//
// A Set that nobody waits for is kept for the next Wait; several count as one. Thread rule: one executor, one waiter.
// Use:  signal.Set();        // whoever has made work
//       co_await signal.Wait();   // whoever does it, then looks at everything
#pragma once

#include <coroutine>
#include <utility>

#include "engine/coro/executor.h"

namespace uringsync {

class Signal {
 public:
  class Awaiter {
   public:
    explicit Awaiter(Signal* signal) : signal_(signal) {}
    bool await_ready() const noexcept { return signal_->set_; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept { signal_->waiter_ = handle; }
    void await_resume() const noexcept { signal_->set_ = false; }

   private:
    Signal* signal_;
  };

  Signal() = default;
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void Set() {
    set_ = true;
    if (waiter_) Executor::Current()->Post(std::exchange(waiter_, nullptr));
  }
  Awaiter Wait() { return Awaiter(this); }

 private:
  bool set_ = false;
  std::coroutine_handle<> waiter_;
};

}  // namespace uringsync
