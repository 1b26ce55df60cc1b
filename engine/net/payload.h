// Payload: bytes of a message's contents. As a vector of bytes, but new bytes are not initialised, and large blocks are
// kept by the thread that frees them: the next message of that thread is received into memory that is mapped and,
// mostly, still in its cache. A fresh block of the allocator would be page faults and a clearing pass for every
// message.
//
// Thread rule: a value; it may be freed by another thread than the one that made it (that thread keeps the block then).
// Use:  Payload payload;  payload.resize(length);  co_await ReadExactly(stream, payload, deadline);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

namespace uringsync {

// A thread keeps at most this much for later.
constexpr size_t kKeptPayloadBytes = size_t{4} << 20;

class Payload {
 public:
  Payload() = default;
  Payload(Payload&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Payload(const Payload& other) { Append(other); }
  Payload& operator=(Payload other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~Payload() { Free(data_, capacity_); }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::byte* begin() { return data_; }
  std::byte* end() { return data_ + size_; }
  const std::byte* begin() const { return data_; }
  const std::byte* end() const { return data_ + size_; }
  std::byte& operator[](size_t at) { return data_[at]; }
  const std::byte& operator[](size_t at) const { return data_[at]; }

  // Bytes beyond the old size are not initialised.
  void resize(size_t size) {
    if (size > capacity_) Grow(size);
    size_ = size;
  }
  void resize(size_t size, std::byte value) {
    const size_t old = size_;
    resize(size);
    if (size > old) std::memset(data_ + old, static_cast<int>(value), size - old);
  }
  void assign(size_t size, std::byte value) {
    size_ = 0;
    resize(size, value);
  }
  void Append(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    const size_t old = size_;
    resize(old + bytes.size());
    std::memcpy(data_ + old, bytes.data(), bytes.size());
  }

  friend bool operator==(const Payload& a, const Payload& b) { return std::ranges::equal(a, b); }

 private:
  // At least `size` bytes; `*capacity` is told.
  static std::byte* Allocate(size_t size, size_t* capacity);
  static void Free(std::byte* data, size_t capacity);
  void Grow(size_t size);

  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace uringsync
