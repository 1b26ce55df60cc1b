#include "engine/net/stream.h"

#include "engine/base/errno_status.h"

namespace uringsync {

Deadline::Deadline(Timeout timeout) : timeout_(timeout) {
  Restart();
}

void Deadline::Restart() {
  at_ = std::chrono::steady_clock::now() + timeout_;
}

bool Deadline::expired() const {
  return timeout_ > kNoTimeout && std::chrono::steady_clock::now() >= at_;
}

Timeout Deadline::remaining() const {
  if (timeout_ <= kNoTimeout) return kNoTimeout;
  const Timeout left = at_ - std::chrono::steady_clock::now();
  return left > Timeout(0) ? left : Timeout(1);
}

Task<absl::Status> ReadExactly(Stream* stream, std::span<std::byte> into, Deadline deadline) {
  size_t done = 0;
  while (done < into.size()) {
    absl::StatusOr<size_t> n = co_await stream->Read(into.subspan(done), deadline.remaining());
    if (!n.ok()) co_return n.status();
    if (*n == 0) {
      if (done == 0) co_return absl::OutOfRangeError("end of the connection");
      co_return absl::UnavailableError("the connection ended in the middle of a message");
    }
    done += *n;
  }
  co_return absl::OkStatus();
}

}  // namespace uringsync
