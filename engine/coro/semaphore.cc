#include "engine/coro/semaphore.h"

#include <vector>

namespace uringsync {

SemaphoreUnits& SemaphoreUnits::operator=(SemaphoreUnits&& other) noexcept {
  if (this != &other) {
    if (semaphore_ != nullptr) semaphore_->Release(units_);
    semaphore_ = std::exchange(other.semaphore_, nullptr);
    units_ = std::exchange(other.units_, 0);
  }
  return *this;
}

SemaphoreUnits::~SemaphoreUnits() {
  if (semaphore_ != nullptr) semaphore_->Release(units_);
}

bool Semaphore::Awaiter::await_suspend(std::coroutine_handle<> handle) {
  std::lock_guard lock(semaphore_->mutex_);
  if (semaphore_->waiters_.empty() && semaphore_->available_ >= units_) {
    semaphore_->available_ -= units_;
    return false;
  }
  handle_ = handle;
  executor_ = Executor::Current();
  semaphore_->waiters_.push_back(this);
  return true;
}

bool Semaphore::TryAcquire(size_t units, SemaphoreUnits* held) {
  {
    std::lock_guard lock(mutex_);
    if (!waiters_.empty() || available_ < units) return false;
    available_ -= units;
  }
  *held = SemaphoreUnits(this, units);
  return true;
}

void Semaphore::Release(size_t units) {
  std::vector<std::pair<Executor*, std::coroutine_handle<>>> woken;
  {
    std::lock_guard lock(mutex_);
    available_ += units;
    while (!waiters_.empty() && waiters_.front()->units_ <= available_) {
      Awaiter* next = waiters_.front();
      waiters_.pop_front();
      available_ -= next->units_;
      // Copied before the post: once posted, the awaiter may be gone.
      woken.emplace_back(next->executor_, next->handle_);
    }
  }
  for (auto& [executor, handle] : woken) executor->Post(handle);
}

size_t Semaphore::available() const {
  std::lock_guard lock(mutex_);
  return available_;
}

}  // namespace uringsync
