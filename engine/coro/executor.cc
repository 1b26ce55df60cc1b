#include "engine/coro/executor.h"

namespace uringsync {
namespace {
thread_local Executor* current_executor = nullptr;
}  // namespace

Executor* Executor::Current() {
  return current_executor;
}

Executor::Guard::Guard(Executor* executor) : previous_(current_executor) {
  current_executor = executor;
}
Executor::Guard::~Guard() {
  current_executor = previous_;
}

void ManualExecutor::Post(std::coroutine_handle<> handle) {
  std::lock_guard lock(mutex_);
  ready_.push_back(handle);
}

size_t ManualExecutor::RunUntilIdle() {
  Guard guard(this);
  size_t ran = 0;
  while (true) {
    std::coroutine_handle<> next;
    {
      std::lock_guard lock(mutex_);
      if (ready_.empty()) return ran;
      next = ready_.front();
      ready_.pop_front();
    }
    next.resume();
    ++ran;
  }
}

}  // namespace uringsync
