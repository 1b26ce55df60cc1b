#include "engine/net/payload.h"

#include <array>
#include <bit>
#include <new>
#include <vector>

namespace uringsync {
namespace {

// Blocks of these sizes, powers of two, are kept; smaller ones are the allocator's, larger ones do not occur.
constexpr size_t kSmallestKept = size_t{2} << 10;
constexpr size_t kLargestKept = size_t{2} << 20;
constexpr size_t kSizes = std::bit_width(kLargestKept) - std::bit_width(kSmallestKept) + 1;
constexpr std::align_val_t kAlignment{4096};

// Set when the thread's blocks are gone: what is freed after that is not kept.
thread_local bool over = false;

// Last freed, first used: that one is the most likely to be in the cache.
struct Kept {
  std::array<std::vector<std::byte*>, kSizes> blocks;
  size_t bytes = 0;

  ~Kept() {
    over = true;
    for (std::vector<std::byte*>& of_size : blocks)
      for (std::byte* block : of_size) ::operator delete(block, kAlignment);
  }
};

thread_local Kept kept;

size_t SizeIndex(size_t capacity) {
  return static_cast<size_t>(std::bit_width(capacity) - std::bit_width(kSmallestKept));
}

bool IsKeptSize(size_t capacity) {
  return capacity >= kSmallestKept && capacity <= kLargestKept;
}

}  // namespace

std::byte* Payload::Allocate(size_t size, size_t* capacity) {
  *capacity = size;
  if (!IsKeptSize(size)) return static_cast<std::byte*>(::operator new(size));
  *capacity = std::bit_ceil(size);
  if (over || kept.blocks[SizeIndex(*capacity)].empty())
    return static_cast<std::byte*>(::operator new(*capacity, kAlignment));
  std::vector<std::byte*>& of_size = kept.blocks[SizeIndex(*capacity)];
  std::byte* block = of_size.back();
  of_size.pop_back();
  kept.bytes -= *capacity;
  return block;
}

void Payload::Free(std::byte* data, size_t capacity) {
  if (!IsKeptSize(capacity)) {
    ::operator delete(data);
  } else if (over || kept.bytes + capacity > kKeptPayloadBytes) {
    ::operator delete(data, kAlignment);
  } else {
    kept.blocks[SizeIndex(capacity)].push_back(data);
    kept.bytes += capacity;
  }
}

void Payload::Grow(size_t size) {
  // Doubling keeps many appends linear.
  size_t capacity = 0;
  std::byte* grown = Allocate(size_ == 0 ? size : std::max(size, 2 * capacity_), &capacity);
  if (size_ > 0) std::memcpy(grown, data_, size_);
  Free(data_, capacity_);
  data_ = grown;
  capacity_ = capacity;
}

}  // namespace uringsync
