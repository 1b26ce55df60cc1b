#include "engine/net/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {

namespace {

// Parts that together are at most this long go out as one send: a copy is cheaper than a second operation.
constexpr size_t kGatherBytes = size_t{16} << 10;
constexpr size_t kMaxTransferBytes = size_t{1} << 30;

void SetOption(Driver* driver, int fd, int level, int name, int value) {
  // Refused on a socket that is not TCP, or by an old kernel: the connection works without it.
  driver->Call(CallCode::kSetsockopt, fd, level, name, reinterpret_cast<long>(&value), sizeof(value));
}

// Address without port, as bytes; empty for what is neither IPv4 nor IPv6.
std::string_view HostOf(const sockaddr_storage& address) {
  const auto bytes = [](const auto& host) {
    return std::string_view(reinterpret_cast<const char*>(&host), sizeof(host));
  };
  if (address.ss_family == AF_INET) return bytes(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  if (address.ss_family == AF_INET6) return bytes(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
  return {};
}

bool IsWithinThisHost(Driver* driver, int fd) {
  sockaddr_storage ours{};
  sockaddr_storage theirs{};
  for (auto [call, address] : {std::pair(CallCode::kGetsockname, &ours), std::pair(CallCode::kGetpeername, &theirs)}) {
    socklen_t length = sizeof(*address);
    if (driver->Call(call, fd, reinterpret_cast<long>(address), reinterpret_cast<long>(&length)) < 0) return false;
  }
  return ours.ss_family == theirs.ss_family && !HostOf(ours).empty() && HostOf(ours) == HostOf(theirs);
}

// Within a host there is no way that could be congested, and a congestion control that paces what is sent by timers, as
// BBR does, only costs: twice the CPU time of cubic, measured (docs/performance.md). Where cubic is not to be had all
// stays as it is.
void DoNotPace(Driver* driver, int fd) {
  static constexpr std::string_view kUnpaced = "cubic";
  driver->Call(CallCode::kSetsockopt, fd, IPPROTO_TCP, TCP_CONGESTION, reinterpret_cast<long>(kUnpaced.data()),
               static_cast<long>(kUnpaced.size()));
}

absl::Status TransferError(int64_t result, bool shut_down, std::string_view operation, const std::string& peer) {
  if (shut_down) return absl::CancelledError("the connection was closed on this side");
  std::string context(operation);
  context += peer;
  if (result == -ETIME || result == -ETIMEDOUT) {
    return MakeStatus(absl::StatusCode::kDeadlineExceeded, context + ": timed out");
  }
  return ErrnoStatus(static_cast<int>(-result), context);
}

}  // namespace

TcpStream::TcpStream(Driver* driver, AcceptedSocket socket)
    : driver_(driver), fd_(std::move(socket.fd)), peer_(std::move(socket.peer)) {}

std::unique_ptr<TcpStream> TcpStream::Adopt(Driver* driver, AcceptedSocket socket) {
  const int fd = socket.fd.get();
  int protocol = 0;
  socklen_t length = sizeof(protocol);
  const long rc = driver->Call(CallCode::kGetsockopt, fd, SOL_SOCKET, SO_PROTOCOL, reinterpret_cast<long>(&protocol),
                               reinterpret_cast<long>(&length));
  if (rc == 0 && protocol == IPPROTO_TCP) {
    SetOption(driver, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    SetOption(driver, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    SetOption(driver, fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
    SetOption(driver, fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
    SetOption(driver, fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
    SetOption(driver, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
    if (IsWithinThisHost(driver, fd)) DoNotPace(driver, fd);
  }
  return std::unique_ptr<TcpStream>(new TcpStream(driver, std::move(socket)));
}

TcpStream::~TcpStream() {
  driver_->Call(CallCode::kClose, fd_.Release());
}

Task<absl::StatusOr<size_t>> TcpStream::Read(std::span<std::byte> into, Timeout timeout) {
  if (shut_down_) co_return absl::CancelledError("the connection was closed on this side");
  Op op;
  op.code = OpCode::kRecv;
  op.fd = fd_.get();
  op.buffer = into.data();
  op.length = static_cast<uint32_t>(std::min(into.size(), kMaxTransferBytes));
  op.timeout = timeout;
  reading_ = &op;
  const int64_t n = co_await Await(driver_, &op);
  reading_ = nullptr;
  // shutdown(2) shows as an orderly end; ours is none.
  if (n < 0 || shut_down_) co_return TransferError(n, shut_down_, "receive from ", peer_);
  bytes_read_ += static_cast<uint64_t>(n);
  co_return static_cast<size_t>(n);
}

Task<absl::Status> TcpStream::SendAll(ConstBytes bytes, bool more, Deadline deadline) {
  while (!bytes.empty()) {
    if (shut_down_) co_return absl::CancelledError("the connection was closed on this side");
    Op op;
    op.code = OpCode::kSend;
    op.fd = fd_.get();
    op.buffer = const_cast<std::byte*>(bytes.data());
    op.length = static_cast<uint32_t>(std::min(bytes.size(), kMaxTransferBytes));
    // MSG_WAITALL lets the ring go on after a short send by itself.
    op.flags = MSG_NOSIGNAL | MSG_WAITALL | (more ? MSG_MORE : 0);
    op.timeout = deadline.remaining();
    writing_ = &op;
    const int64_t n = co_await Await(driver_, &op);
    writing_ = nullptr;
    if (n < 0) co_return TransferError(n, shut_down_, "send to ", peer_);
    bytes_written_ += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> TcpStream::WriteAll(std::span<const ConstBytes> parts, Timeout timeout) {
  const Deadline deadline(timeout);
  std::vector<std::byte> gathered;
  for (size_t i = 0; i < parts.size();) {
    size_t end = i;
    size_t total = 0;
    while (end < parts.size() && total + parts[end].size() <= kGatherBytes) total += parts[end++].size();
    if (end > i + 1) {
      gathered.clear();
      for (; i < end; ++i) gathered.insert(gathered.end(), parts[i].begin(), parts[i].end());
      US_CO_RETURN_IF_ERROR(co_await SendAll(gathered, end < parts.size(), deadline));
    } else {
      US_CO_RETURN_IF_ERROR(co_await SendAll(parts[i], i + 1 < parts.size(), deadline));
      ++i;
    }
  }
  co_return absl::OkStatus();
}

Task<absl::Status> TcpStream::EndWrites(Timeout) {
  if (shut_down_) co_return absl::CancelledError("the connection was closed on this side");
  const long rc = driver_->Call(CallCode::kShutdown, fd_.get(), SHUT_WR);
  if (rc < 0) co_return ErrnoStatus(static_cast<int>(-rc), "end the connection to " + peer_);
  co_return absl::OkStatus();
}

void TcpStream::Shutdown() {
  if (shut_down_) return;
  shut_down_ = true;
  driver_->Call(CallCode::kShutdown, fd_.get(), SHUT_RDWR);
  if (reading_ != nullptr) driver_->Cancel(reading_);
  if (writing_ != nullptr) driver_->Cancel(writing_);
}

}  // namespace uringsync
