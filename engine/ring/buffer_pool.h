// BufferPool: page-aligned I/O buffers of one size, owned by a shard, registered with its ring where the limits allow.
//
// Thread rule: one shard. Get suspends when all buffers are out (bounded memory). A Buffer goes back to its pool when
// it dies; it must die on the shard of its pool. Use:  Buffer buffer = co_await pool->Get();  op.buffer =
// buffer.data(); op.registered_buffer = buffer.registered_index();
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "engine/coro/executor.h"

namespace uringsync {

class Driver;
class BufferPool;

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), slot_(other.slot_), data_(std::exchange(other.data_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();
  std::byte* data() const { return data_; }
  size_t size() const;  // bytes
  std::span<std::byte> span() const { return {data_, size()}; }
  int registered_index() const;  // -1 where not registered
  bool valid() const { return data_ != nullptr; }

 private:
  friend class BufferPool;
  Buffer(BufferPool* pool, uint32_t slot, std::byte* data) : pool_(pool), slot_(slot), data_(data) {}
  BufferPool* pool_ = nullptr;
  uint32_t slot_ = 0;
  std::byte* data_ = nullptr;
};

struct BufferPoolOptions {
  size_t buffer_bytes = size_t{1} << 20;
  size_t count = 12;  // touched lazily: memory that is never used costs nothing
  bool try_register = true;
};

class BufferPool {
 public:
  BufferPool(Driver* driver, BufferPoolOptions options);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  class Awaiter {
   public:
    explicit Awaiter(BufferPool* pool) : pool_(pool) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    Buffer await_resume() noexcept;

   private:
    friend class BufferPool;
    BufferPool* pool_;
    std::byte* data_ = nullptr;
    uint32_t slot_ = 0;
    std::coroutine_handle<> handle_;
  };
  // Waits for a free buffer, first come first served.
  Awaiter Get() { return Awaiter(this); }
  size_t buffer_bytes() const { return options_.buffer_bytes; }
  bool registered() const { return registered_; }

 private:
  friend class Buffer;
  void Put(uint32_t slot);

  BufferPoolOptions options_;
  std::byte* base_ = nullptr;
  std::vector<uint32_t> free_;
  std::deque<Awaiter*> waiters_;
  bool registered_ = false;
};

}  // namespace uringsync
