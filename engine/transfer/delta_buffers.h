// DeltaBuffers: memory in which one shard puts leaves together. A buffer may be held while the network is waited for,
// which one of the shard's pool may not: two agents that replicate into each other would wait for each other's pools.
//
// Thread rule: one shard; a buffer goes back where it came from.
// Use:  DeltaBuffer buffer = co_await buffers->Get();
#pragma once

#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/digest.h"
#include "engine/coro/semaphore.h"
#include "engine/coro/task.h"
#include "engine/fs/direct_io.h"

namespace uringsync {

class DeltaBuffers;

// One leaf's worth of bytes.
class DeltaBuffer {
 public:
  struct FreeAligned {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, std::align_val_t{kDirectAlignment}); }
  };
  using Memory = std::unique_ptr<std::byte[], FreeAligned>;
  DeltaBuffer() = default;
  DeltaBuffer(DeltaBuffer&& other) noexcept = default;
  DeltaBuffer& operator=(DeltaBuffer&& other) noexcept = delete;
  ~DeltaBuffer();
  std::span<std::byte> span() const { return {bytes_.get(), kLeafBytes}; }

 private:
  friend class DeltaBuffers;
  DeltaBuffer(DeltaBuffers* owner, SemaphoreUnits unit, Memory bytes)
      : owner_(owner), unit_(std::move(unit)), bytes_(std::move(bytes)) {}
  DeltaBuffers* owner_ = nullptr;
  SemaphoreUnits unit_;
  Memory bytes_;
};

class DeltaBuffers {
 public:
  using Memory = DeltaBuffer::Memory;
  // Buffers of one shard, and so leaves of one shard that wait for the network at once.
  static constexpr size_t kPerShard = 12;

  Task<DeltaBuffer> Get() {
    SemaphoreUnits unit = co_await units_.Acquire(1);
    Memory bytes;
    if (free_.empty()) {
      bytes.reset(new (std::align_val_t{kDirectAlignment}) std::byte[kLeafBytes]);
    } else {
      bytes = std::move(free_.back());
      free_.pop_back();
    }
    co_return DeltaBuffer(this, std::move(unit), std::move(bytes));
  }

 private:
  friend class DeltaBuffer;
  Semaphore units_{kPerShard};
  std::vector<Memory> free_;
};

inline DeltaBuffer::~DeltaBuffer() {
  if (bytes_ != nullptr) owner_->free_.push_back(std::move(bytes_));
}

}  // namespace uringsync
