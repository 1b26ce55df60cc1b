#include "engine/coro/cancel.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace uringsync {
namespace coro_internal {

struct CancelState {
  std::mutex mutex;
  std::condition_variable changed;
  bool cancelled = false;
  absl::Status reason;
  uint64_t next_id = 1;
  std::map<uint64_t, std::function<void()>> callbacks;
  uint64_t running_id = 0;  // callback being called now
  std::thread::id running_on;
};

}  // namespace coro_internal

bool CancelToken::cancelled() const {
  if (!state_) return false;
  std::lock_guard lock(state_->mutex);
  return state_->cancelled;
}

absl::Status CancelToken::status() const {
  if (!state_) return absl::OkStatus();
  std::lock_guard lock(state_->mutex);
  return state_->cancelled ? state_->reason : absl::OkStatus();
}

CancelToken::Registration CancelToken::OnCancel(std::function<void()> on_cancel) const {
  Registration registration;
  if (!state_) return registration;
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->cancelled) {
      registration.state_ = state_;
      registration.id_ = state_->next_id++;
      state_->callbacks.emplace(registration.id_, std::move(on_cancel));
      return registration;
    }
  }
  on_cancel();
  return registration;
}

CancelToken::Registration::Registration(Registration&& other) noexcept
    : state_(std::move(other.state_)), id_(std::exchange(other.id_, 0)) {}

CancelToken::Registration& CancelToken::Registration::operator=(Registration&& other) noexcept {
  if (this != &other) {
    Reset();
    state_ = std::move(other.state_);
    id_ = std::exchange(other.id_, 0);
  }
  return *this;
}

CancelToken::Registration::~Registration() {
  Reset();
}

void CancelToken::Registration::Reset() {
  if (!state_) return;
  std::unique_lock lock(state_->mutex);
  state_->callbacks.erase(id_);
  // A callback may end its own registration; anyone else waits until it is over.
  if (state_->running_on != std::this_thread::get_id())
    state_->changed.wait(lock, [this] { return state_->running_id != id_; });
  lock.unlock();
  state_.reset();
}

CancelSource::CancelSource() : state_(std::make_shared<coro_internal::CancelState>()) {}

CancelToken CancelSource::token() const {
  CancelToken token;
  token.state_ = state_;
  return token;
}

void CancelSource::Cancel(absl::Status reason) {
  std::unique_lock lock(state_->mutex);
  if (state_->cancelled) return;
  state_->cancelled = true;
  state_->reason = reason.ok() ? absl::CancelledError("cancelled") : std::move(reason);
  state_->running_on = std::this_thread::get_id();
  while (!state_->callbacks.empty()) {
    auto node = state_->callbacks.extract(state_->callbacks.begin());
    state_->running_id = node.key();
    lock.unlock();
    node.mapped()();
    lock.lock();
    state_->running_id = 0;
    state_->changed.notify_all();
  }
  state_->running_on = {};
}

}  // namespace uringsync
