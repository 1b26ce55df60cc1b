// Cancellation: a source that is triggered once, with a reason, and tokens that observe it.
//
// A token never interrupts by itself: a task polls status(), or registers a callback that makes what it waits for
// complete early (closes a channel, shuts a socket, cancels an operation). Thread-safe.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"

namespace uringsync {

namespace coro_internal {
struct CancelState;
}

class CancelToken {
 public:
  // A token that is never cancelled.
  CancelToken() = default;

  bool cancelled() const;
  // OK, or the reason given to Cancel().
  absl::Status status() const;

  // Calls `on_cancel` once, from the thread that cancels, or at once when already cancelled. Must not block. The
  // registration ends with the returned object; its destructor waits for a callback that is running on another thread.
  class Registration {
   public:
    Registration() = default;
    Registration(Registration&&) noexcept;
    Registration& operator=(Registration&&) noexcept;
    ~Registration();

   private:
    friend class CancelToken;
    void Reset();
    std::shared_ptr<coro_internal::CancelState> state_;
    uint64_t id_ = 0;
  };
  [[nodiscard]] Registration OnCancel(std::function<void()> on_cancel) const;

 private:
  friend class CancelSource;
  std::shared_ptr<coro_internal::CancelState> state_;
};

class CancelSource {
 public:
  CancelSource();
  CancelToken token() const;
  // First call wins; later ones change nothing.
  void Cancel(absl::Status reason);

 private:
  std::shared_ptr<coro_internal::CancelState> state_;
};

}  // namespace uringsync
