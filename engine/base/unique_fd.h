// UniqueFd: the one owner of a file descriptor.
//
// Thread rule: a value of one thread; move it to hand it over.
// Use:  UniqueFd fd(::open(...)); if (!fd.valid()) ...; DoSomething(fd.get());
#pragma once

#include <unistd.h>

#include <utility>

namespace uringsync {

class UniqueFd {
 public:
  UniqueFd() = default;
  // Takes ownership of `fd`; a negative value means "none".
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Gives up ownership and returns the descriptor.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  // Closes what is owned, then owns `fd`. close() is not retried on EINTR: Linux has released the number by then.
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace uringsync
