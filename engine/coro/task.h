// Task<T>: a lazy coroutine with one owner and one awaiter.
//
// Nothing runs until the task is awaited or spawned into a Scope. Rules that keep it safe:
//  - arguments are copied into the frame only when they are by-value parameters: pass by value where in doubt;
//  - no coroutine lambdas with captures (the closure may die first): use a named function;
//  - one co_await a statement;
//  - a Task that has started must be awaited to its end: destroying it while suspended is a CHECK failure, because an
//    operation in flight writes into the frame. Cancellation makes operations complete early; it never drops them.
// Exceptions do not leave a coroutine: one that would ends the program.
//
// Use:  Task<absl::StatusOr<int>> Half(int n) { ... co_return n / 2; }
//       absl::StatusOr<int> half = co_await Half(10);
#pragma once

#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

namespace uringsync {

template <typename T>
class Task;

namespace coro_internal {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
    std::coroutine_handle<> next = handle.promise().continuation;
    return next ? next : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation;
  bool started = false;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() const noexcept { std::terminate(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
};

}  // namespace coro_internal

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = coro_internal::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { Destroy(); }

  // Awaiting starts the task and resumes the awaiter with its value, on the same executor.
  auto operator co_await() && noexcept {
    struct Awaiter {
      Handle handle;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> continuation) const noexcept {
        handle.promise().continuation = continuation;
        handle.promise().started = true;
        return handle;
      }
      T await_resume() const {
        if constexpr (!std::is_void_v<T>) return std::move(*handle.promise().value);
      }
    };
    return Awaiter{handle_};
  }
  auto operator co_await() & noexcept { return std::move(*this).operator co_await(); }

 private:
  void Destroy() {
    if (!handle_) return;
    if (handle_.promise().started && !handle_.done()) {
      std::fputs("uringsync: a running Task was destroyed\n", stderr);
      std::abort();
    }
    handle_.destroy();
    handle_ = nullptr;
  }
  Handle handle_ = nullptr;
};

namespace coro_internal {
template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace coro_internal

}  // namespace uringsync
