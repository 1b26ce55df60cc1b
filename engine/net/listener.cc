#include "engine/net/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/coro/semaphore.h"

namespace uringsync {

namespace {

// Pause while descriptors or memory are out: long enough not to spin, short enough not to be felt.
constexpr auto kExhaustedPause = std::chrono::milliseconds(100);

absl::Status ListenError(int err, const SocketAddress& address, const std::string& option) {
  std::string text = "cannot listen on " + address.ToString();
  absl::Status status = ErrnoStatus(err, text);
  std::string advice;
  if (err == EADDRINUSE) {
    advice = address.family() == AF_UNIX ? "remove the socket file if no program uses it, or choose another"
                                         : "another agent may be running, choose another";
  } else if (err == EACCES) {
    advice = "ports below 1024 need privilege, choose another";
  } else if (err == EADDRNOTAVAIL) {
    advice = "no interface of this host has that address, choose another";
  } else {
    return status;
  }
  if (!option.empty()) advice += " with " + option;
  const absl::StatusCode code = err == EACCES ? status.code() : absl::StatusCode::kFailedPrecondition;
  return MakeStatus(code, std::string(ToStd(status.message())) + "; " + advice);
}

absl::StatusOr<UniqueFd> BindAndListen(Driver* driver, const SocketAddress& address, const std::string& option) {
  const long made = driver->Call(CallCode::kSocket, address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0) return ListenError(static_cast<int>(-made), address, option);
  UniqueFd fd(static_cast<int>(made));
  const int on = 1;
  const int off = 0;
  if (address.family() != AF_UNIX) {
    driver->Call(CallCode::kSetsockopt, fd.get(), SOL_SOCKET, SO_REUSEADDR, reinterpret_cast<long>(&on), sizeof(on));
  }
  if (address.family() == AF_INET6) {
    // [::] serves IPv4 too, as people expect of "every address".
    driver->Call(CallCode::kSetsockopt, fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, reinterpret_cast<long>(&off), sizeof(off));
  }
  long rc = driver->Call(CallCode::kBind, fd.get(), reinterpret_cast<long>(address.get()), address.length());
  if (rc == 0) rc = driver->Call(CallCode::kListen, fd.get(), kListenBacklog);
  if (rc < 0) return ListenError(static_cast<int>(-rc), address, option);
  return fd;
}

SocketAddress BoundAddress(Driver* driver, int fd, const SocketAddress& asked) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  const long rc =
      driver->Call(CallCode::kGetsockname, fd, reinterpret_cast<long>(&storage), reinterpret_cast<long>(&length));
  return rc < 0 ? asked : SocketAddress::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
}

std::string PeerAddress(Driver* driver, int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  const long rc =
      driver->Call(CallCode::kGetpeername, fd, reinterpret_cast<long>(&storage), reinterpret_cast<long>(&length));
  if (rc < 0) return "a peer that has gone";
  return SocketAddress::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage), length).ToString();
}

bool IsExhaustion(int err) {
  return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

// accept(2): errors of the connection that was waiting, not of the listener.
bool IsPeerError(int err) {
  return err == ECONNABORTED || err == EPROTO || err == ENETDOWN || err == EHOSTDOWN || err == EHOSTUNREACH ||
         err == ENETUNREACH || err == ENONET || err == ENOPROTOOPT || err == EOPNOTSUPP || err == EPERM;
}

Task<void> RunHandler(const ConnectionHandler* handler, AcceptedSocket socket, SemaphoreUnits slot) {
  const SemaphoreUnits held = std::move(slot);
  Task<void> task = (*handler)(std::move(socket));
  co_await std::move(task);
}

}  // namespace

Listener::Listener(Driver* driver, UniqueFd fd, SocketAddress address)
    : driver_(driver), fd_(std::move(fd)), address_(address) {}

Listener::~Listener() {
  driver_->Call(CallCode::kClose, fd_.Release());
}

Task<absl::StatusOr<std::unique_ptr<Listener>>> Listener::Listen(Driver* driver, ListenOptions options) {
  US_CO_ASSIGN_OR_RETURN(std::vector<SocketAddress> addresses,
                         co_await Resolve(options.host, options.port, ResolvePurpose::kListen));
  if (options.host.empty()) {
    // "Every address" is [::] where the host has IPv6, since that serves both.
    for (size_t i = 1; i < addresses.size(); ++i) {
      if (addresses[i].family() == AF_INET6) std::swap(addresses[0], addresses[i]);
    }
  }
  absl::Status first_error;
  for (const SocketAddress& address : addresses) {
    absl::StatusOr<UniqueFd> fd = BindAndListen(driver, address, options.option);
    if (fd.ok()) {
      const SocketAddress bound = BoundAddress(driver, fd->get(), address);
      co_return std::unique_ptr<Listener>(new Listener(driver, std::move(*fd), bound));
    }
    if (first_error.ok() || StatusErrno(first_error) == EAFNOSUPPORT) first_error = fd.status();
  }
  co_return first_error;
}

Task<absl::StatusOr<AcceptedSocket>> Listener::Accept() {
  while (!closed_) {
    Op op;
    op.code = OpCode::kAccept;
    op.fd = fd_.get();
    pending_ = &op;
    const int64_t result = co_await Await(driver_, &op);
    pending_ = nullptr;
    if (result >= 0) {
      UniqueFd fd(static_cast<int>(result));
      if (closed_) break;
      std::string peer = PeerAddress(driver_, fd.get());
      co_return AcceptedSocket{std::move(fd), std::move(peer)};
    }
    const int err = static_cast<int>(-result);
    if (closed_) break;
    if (IsExhaustion(err)) {
      Op pause;
      pause.code = OpCode::kTimeout;
      pause.timeout = kExhaustedPause;
      pending_ = &pause;
      (void)co_await Await(driver_, &pause);
      pending_ = nullptr;
    } else if (!IsPeerError(err)) {
      co_return ErrnoStatus(err, "accept on " + address());
    }
  }
  co_return absl::CancelledError("the listener is closed");
}

void Listener::Close() {
  if (closed_) return;
  closed_ = true;
  driver_->Call(CallCode::kShutdown, fd_.get(), SHUT_RDWR);
  if (pending_ != nullptr) driver_->Cancel(pending_);
}

Task<absl::Status> ServeConnections(Listener* listener, Runtime* runtime, ConnectionHandler handler,
                                    size_t max_connections) {
  Semaphore slots(max_connections);
  Scope scope;
  absl::Status ended;
  while (true) {
    // Taken before the accept: beyond the limit a connection waits in the kernel's backlog, not in our memory.
    SemaphoreUnits slot = co_await slots.Acquire(1);
    absl::StatusOr<AcceptedSocket> socket = co_await listener->Accept();
    if (!socket.ok()) {
      if (!absl::IsCancelled(socket.status())) ended = socket.status();
      break;
    }
    scope.SpawnOn(&runtime->Next(), RunHandler(&handler, std::move(*socket), std::move(slot)));
  }
  co_await scope.Join();
  co_return ended;
}

}  // namespace uringsync
