// Boxed: a value that is mostly absent, kept on the heap.
#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace uringsync {

// As std::optional<T>, with copies that copy the value; takes the room of one pointer where there is no value, and one allocation where there is one.
// For large members of structs that are kept by the ten thousand. A moved-from Boxed is empty. Not thread-safe.
//   Boxed<Entry> existing;
//   existing = entry;
//   if (existing) Use(*existing);
template <typename T>
class Boxed {
 public:
  Boxed() = default;
  Boxed(std::nullopt_t) {}                                                          // NOLINT: as std::optional
  Boxed(T value) : value_(std::make_unique<T>(std::move(value))) {}                 // NOLINT
  Boxed(std::optional<T> value) {                                                   // NOLINT
    if (value) value_ = std::make_unique<T>(*std::move(value));
  }
  Boxed(const Boxed& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Boxed(Boxed&&) noexcept = default;
  Boxed& operator=(const Boxed& other) {
    if (this != &other) value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    return *this;
  }
  Boxed& operator=(Boxed&&) noexcept = default;
  ~Boxed() = default;

  bool has_value() const { return value_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  // Only where there is a value.
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }
  // The value, or nullptr.
  const T* get() const { return value_.get(); }

  template <typename... Arguments>
  T& emplace(Arguments&&... arguments) {
    value_ = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    return *value_;
  }
  void reset() { value_.reset(); }
  // A copy.
  std::optional<T> ToOptional() const { return value_ ? std::optional<T>(*value_) : std::nullopt; }

  friend bool operator==(const Boxed& left, const Boxed& right) {
    return left.has_value() == right.has_value() && (!left.has_value() || *left == *right);
  }

 private:
  std::unique_ptr<T> value_;
};

// The value's address, or nullptr; valid as long as the optional is not changed.
template <typename T>
const T* AddressOrNull(const std::optional<T>& value) {
  return value ? &*value : nullptr;
}

}  // namespace uringsync
