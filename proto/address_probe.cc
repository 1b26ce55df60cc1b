#include "proto/address_probe.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/base/unique_fd.h"
#include "engine/net/address.h"

namespace uringsync {
namespace {

using Clock = std::chrono::steady_clock;

// 0, or the errno of a connection to `address`.
int TryConnect(const SocketAddress& address, Clock::time_point deadline) {
  const UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  if (::connect(fd.get(), address.get(), address.length()) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd entry = {.fd = fd.get(), .events = POLLOUT, .revents = 0};
  int ready = 0;
  do {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    ready = ::poll(&entry, 1, static_cast<int>(std::max<int64_t>(0, left)));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  return ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

absl::Status ProbeAddress(const std::string& host, uint16_t port, std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  US_ASSIGN_OR_RETURN(const std::vector<SocketAddress> addresses, ResolveWithin(host, port, limit));
  absl::Status last = absl::UnavailableError("no address");
  for (const SocketAddress& address : addresses) {
    const int error = TryConnect(address, deadline);
    if (error == 0) return absl::OkStatus();
    last = ErrnoStatus(error, address.ToString());
  }
  return last;
}

}  // namespace uringsync
