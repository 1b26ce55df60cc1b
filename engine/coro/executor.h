// Executor: where a coroutine runs. A shard is one; tests use ManualExecutor.
//
// Every awaiter of this room remembers Executor::Current() when it suspends and posts the coroutine back there, so a
// coroutine stays on the shard that started it whatever thread wakes it.
#pragma once

#include <coroutine>
#include <deque>
#include <mutex>

namespace uringsync {

class Executor {
 public:
  virtual ~Executor() = default;
  // Queues `handle` to be resumed on this executor. Thread-safe; never resumes inline.
  virtual void Post(std::coroutine_handle<> handle) = 0;

  // The executor running on this thread; nullptr outside of one.
  static Executor* Current();

  // While alive, `executor` is Current() on this thread.
  class Guard {
   public:
    explicit Guard(Executor* executor);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Executor* previous_;
  };
};

// Runs what was posted when asked to: for tests and for single-threaded programs.
class ManualExecutor final : public Executor {
 public:
  void Post(std::coroutine_handle<> handle) override;
  // Resumes posted coroutines until none is left. Returns how many ran.
  size_t RunUntilIdle();

 private:
  std::mutex mutex_;
  std::deque<std::coroutine_handle<>> ready_;
};

}  // namespace uringsync
