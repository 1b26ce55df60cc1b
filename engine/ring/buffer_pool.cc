#include "engine/ring/buffer_pool.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>

#include "engine/coro/executor.h"
#include "engine/ring/driver.h"

namespace uringsync {

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    if (pool_ != nullptr) pool_->Put(slot_);
    pool_ = std::exchange(other.pool_, nullptr);
    slot_ = other.slot_;
    data_ = std::exchange(other.data_, nullptr);
  }
  return *this;
}

Buffer::~Buffer() {
  if (pool_ != nullptr) pool_->Put(slot_);
}

size_t Buffer::size() const {
  return pool_ == nullptr ? 0 : pool_->buffer_bytes();
}

int Buffer::registered_index() const {
  return pool_ != nullptr && pool_->registered() ? static_cast<int>(slot_) : -1;
}

BufferPool::BufferPool(Driver* driver, BufferPoolOptions options) : options_(options) {
  // Address space only: a page becomes memory when it is first used.
  void* base = ::mmap(nullptr, options_.buffer_bytes * options_.count, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    std::fputs("uringsync: no address space for I/O buffers\n", stderr);
    std::abort();
  }
  base_ = static_cast<std::byte*>(base);
  for (size_t i = options_.count; i > 0; --i) free_.push_back(static_cast<uint32_t>(i - 1));
  registered_ = options_.try_register;
  // All or none: a refusal (old kernel, RLIMIT_MEMLOCK) is ordinary and means plain buffers.
  for (size_t i = 0; registered_ && i < options_.count; ++i)
    registered_ =
        driver->RegisterBuffer(static_cast<int>(i), base_ + i * options_.buffer_bytes, options_.buffer_bytes).ok();
}

BufferPool::~BufferPool() {
  if (free_.size() != options_.count) {
    std::fputs("uringsync: a buffer pool was destroyed while a buffer was out\n", stderr);
    std::abort();
  }
  ::munmap(base_, options_.buffer_bytes * options_.count);
}

bool BufferPool::Awaiter::await_suspend(std::coroutine_handle<> handle) {
  if (!pool_->free_.empty()) {
    slot_ = pool_->free_.back();
    pool_->free_.pop_back();
    data_ = pool_->base_ + slot_ * pool_->options_.buffer_bytes;
    return false;
  }
  handle_ = handle;
  pool_->waiters_.push_back(this);
  return true;
}

Buffer BufferPool::Awaiter::await_resume() noexcept {
  return Buffer(pool_, slot_, data_);
}

void BufferPool::Put(uint32_t slot) {
  if (waiters_.empty()) {
    free_.push_back(slot);
    return;
  }
  Awaiter* next = waiters_.front();
  waiters_.pop_front();
  next->slot_ = slot;
  next->data_ = base_ + slot * options_.buffer_bytes;
  Executor::Current()->Post(next->handle_);
}

}  // namespace uringsync
