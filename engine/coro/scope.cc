#include "engine/coro/scope.h"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>

namespace uringsync {

// A frame without an owner: it frees itself at its end, after telling the scope.
struct Scope::Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

Scope::Detached Scope::Run(Scope* scope, Task<void> task) {
  {
    // The task's frame must be gone before the scope hears of the end: it may refer to what the joiner frees.
    Task<void> owned = std::move(task);
    co_await std::move(owned);
  }
  scope->OnDone();
}

Scope::~Scope() {
  if (running() == 0) return;
  std::fputs("uringsync: a Scope was destroyed before it was joined\n", stderr);
  std::abort();
}

void Scope::SpawnOn(Executor* executor, Task<void> task) {
  {
    std::lock_guard lock(mutex_);
    ++running_;
  }
  executor->Post(Run(this, std::move(task)).handle);
}

void Scope::OnDone() {
  std::coroutine_handle<> joiner;
  Executor* executor = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (--running_ > 0 || !joiner_) return;
    joiner = std::exchange(joiner_, nullptr);
    executor = joiner_executor_;
  }
  executor->Post(joiner);
}

size_t Scope::running() const {
  std::lock_guard lock(mutex_);
  return running_;
}

bool Scope::JoinAwaiter::await_suspend(std::coroutine_handle<> handle) noexcept {
  std::lock_guard lock(scope_->mutex_);
  if (scope_->running_ == 0) return false;
  scope_->joiner_ = handle;
  scope_->joiner_executor_ = Executor::Current();
  return true;
}

namespace {

struct Latch {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
};

Task<void> RunAndSignal(Task<void> task, Latch* latch) {
  {
    Task<void> owned = std::move(task);
    co_await std::move(owned);
  }
  std::lock_guard lock(latch->mutex);
  latch->done = true;
  latch->changed.notify_all();
}

struct Fire {
  struct promise_type {
    Fire get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> handle;
};

Fire Detach(Task<void> task) {
  co_await std::move(task);
}

}  // namespace

void BlockOn(Executor* executor, Task<void> task) {
  Latch latch;
  executor->Post(Detach(RunAndSignal(std::move(task), &latch)).handle);
  std::unique_lock lock(latch.mutex);
  latch.changed.wait(lock, [&latch] { return latch.done; });
}

}  // namespace uringsync
