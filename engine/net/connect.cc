#include "engine/net/connect.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/cancel_watch.h"
#include "engine/net/tcp_stream.h"

namespace uringsync {

namespace {

constexpr Timeout kLeastAttempt = std::chrono::seconds(2);

Task<absl::StatusOr<UniqueFd>> ConnectOne(Driver* driver, SocketAddress address, Timeout timeout, CancelWatch* watch) {
  const long made = driver->Call(CallCode::kSocket, address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0) co_return ErrnoStatus(static_cast<int>(-made), address.ToString());
  UniqueFd fd(static_cast<int>(made));
  Op op;
  op.code = OpCode::kConnect;
  op.fd = fd.get();
  op.address = address.get();
  op.address_length = address.length();
  op.timeout = timeout;
  watch->Watch(driver, &op);
  const int64_t result = co_await Await(driver, &op);
  watch->Rest();
  if (result == 0) co_return std::move(fd);
  driver->Call(CallCode::kClose, fd.Release());
  if (result == -ETIME || result == -ETIMEDOUT) {
    co_return MakeStatus(absl::StatusCode::kDeadlineExceeded, address.ToString() + ": no answer");
  }
  co_return ErrnoStatus(static_cast<int>(-result), address.ToString());
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectTo(Driver* driver, std::vector<SocketAddress> addresses,
                                                        std::string name, Timeout timeout, CancelToken cancel) {
  CancelWatch watch(cancel);
  absl::StatusOr<UniqueFd> fd = absl::UnavailableError("no address");
  const Deadline deadline(timeout);
  std::string reasons;
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  for (size_t i = 0; i < addresses.size() && watch.status().ok(); ++i) {
    // A silent address may use up its share only, so that the next one gets its turn.
    Timeout share = deadline.remaining();
    if (share != kNoTimeout && i + 1 < addresses.size()) {
      share = std::min(share, std::max(kLeastAttempt, share / static_cast<int>(addresses.size() - i)));
    }
    fd = co_await ConnectOne(driver, addresses[i], share, &watch);
    if (fd.ok()) {
      name = addresses[i].ToString();
      break;
    }
    code = fd.status().code();
    if (!reasons.empty()) reasons += ", ";
    reasons += ToStd(fd.status().message());
    if (deadline.expired()) break;
  }
  absl::Status cancelled = watch.status();
  co_await watch.End();
  if (fd.ok()) {
    AcceptedSocket socket{std::move(*fd), std::move(name)};
    co_return std::unique_ptr<Stream>(TcpStream::Adopt(driver, std::move(socket)));
  }
  if (!cancelled.ok()) co_return cancelled;
  co_return MakeStatus(code, "cannot connect to " + EscapeName(name) + " (" + reasons + ")");
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> Connect(Driver* driver, ConnectOptions options) {
  US_CO_ASSIGN_OR_RETURN(std::vector<SocketAddress> addresses,
                         co_await Resolve(options.host, options.port, ResolvePurpose::kConnect, options.cancel));
  const std::string name = HostPort{options.host, options.port}.ToString();
  absl::StatusOr<std::unique_ptr<Stream>> stream =
      co_await ConnectTo(driver, std::move(addresses), name, options.timeout, options.cancel);
  if (!stream.ok() && !options.hint.empty() && !options.cancel.cancelled()) {
    co_return MakeStatus(stream.status().code(), std::string(ToStd(stream.status().message())) + "; " + options.hint);
  }
  co_return stream;
}

}  // namespace uringsync
