// Scope: a set of concurrent tasks that is joined before it ends (structured concurrency).
//
// Use:  Scope scope;
//       scope.Spawn(Work(1));                     // on the current executor
//       scope.SpawnOn(&other_shard, Work(2));     // on another one
//       co_await scope.Join();                    // required before destruction
//
// Thread rule: Spawn and SpawnOn from any thread that runs inside the scope's lifetime; Join from one coroutine.
#pragma once

#include <coroutine>
#include <cstddef>
#include <mutex>

#include "engine/coro/executor.h"
#include "engine/coro/task.h"

namespace uringsync {

class Scope {
 public:
  Scope() = default;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  // CHECKs that nothing is running any more.
  ~Scope();

  void Spawn(Task<void> task) { SpawnOn(Executor::Current(), std::move(task)); }
  void SpawnOn(Executor* executor, Task<void> task);

  class JoinAwaiter {
   public:
    explicit JoinAwaiter(Scope* scope) : scope_(scope) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) noexcept;
    void await_resume() const noexcept {}

   private:
    Scope* scope_;
  };
  // Resumes when every spawned task has ended, those spawned meanwhile included.
  JoinAwaiter Join() { return JoinAwaiter(this); }

  size_t running() const;

 private:
  struct Detached;
  static Detached Run(Scope* scope, Task<void> task);
  void OnDone();

  mutable std::mutex mutex_;
  size_t running_ = 0;
  std::coroutine_handle<> joiner_;
  Executor* joiner_executor_ = nullptr;
};

// Runs `task` on `executor` and blocks the calling thread (which must not be that executor's) until it has ended.
void BlockOn(Executor* executor, Task<void> task);

// Co-awaitable hop: continues the coroutine on `executor`.
struct SwitchTo {
  Executor* executor;
  bool await_ready() const noexcept { return executor == Executor::Current(); }
  void await_suspend(std::coroutine_handle<> handle) const { executor->Post(handle); }
  void await_resume() const noexcept {}
};

// Lets every other ready coroutine of this executor run once.
struct Yield {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const { Executor::Current()->Post(handle); }
  void await_resume() const noexcept {}
};

}  // namespace uringsync
