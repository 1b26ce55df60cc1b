// ThreadExecutor: an executor on a thread of its own, for tests across threads without the ring.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <mutex>
#include <thread>

#include "engine/coro/executor.h"

namespace uringsync {

class ThreadExecutor final : public Executor {
 public:
  ThreadExecutor() : thread_([this] { Run(); }) {}
  ~ThreadExecutor() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void Post(std::coroutine_handle<> handle) override {
    std::lock_guard lock(mutex_);
    ready_.push_back(handle);
    changed_.notify_all();
  }

 private:
  void Run() {
    Guard guard(this);
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !ready_.empty(); });
      if (ready_.empty()) return;
      const std::coroutine_handle<> next = ready_.front();
      ready_.pop_front();
      lock.unlock();
      next.resume();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<std::coroutine_handle<>> ready_;
  std::thread thread_;
};

}  // namespace uringsync
