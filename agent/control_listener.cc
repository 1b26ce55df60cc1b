#include "agent/control_listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/net/address.h"

namespace uringsync {
namespace {

constexpr int kBacklog = 1024;
// Two descriptors each while no call has come, on two ports: half of what there is at the most.
constexpr size_t kPartOfDescriptors = 8;
constexpr size_t kLeastUnproven = 4;
// Without a descriptor, and with the reserve gone to somebody else.
constexpr int kBreathMs = 100;

struct PeerName {
  std::string address;
  uint16_t port = 0;
};

// As gRPC writes it, mapped IPv4 addresses included.
PeerName NameOf(const sockaddr_storage& peer) {
  char text[INET6_ADDRSTRLEN] = "";
  if (peer.ss_family == AF_INET) {
    const auto* const in = reinterpret_cast<const sockaddr_in*>(&peer);
    ::inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
    return {text, ntohs(in->sin_port)};
  }
  const auto* const in = reinterpret_cast<const sockaddr_in6*>(&peer);
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&in->sin6_addr);
  if (mapped) {
    ::inet_ntop(AF_INET, in->sin6_addr.s6_addr + 12, text, sizeof(text));
  } else {
    ::inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof(text));
  }
  return {text, ntohs(in->sin6_port)};
}

uint64_t CookieOf(int fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  return ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

absl::Status ListenError(const std::string& context, int error) {
  const absl::Status status = ErrnoStatus(error, context);
  if (error == EACCES) return status;
  return MakeStatus(absl::StatusCode::kUnavailable,
                    std::string(ToStd(status.message())) + (error == EADDRINUSE ? "; another program has the port" : ""));
}

// Inherited by the connections.
void SetOptions(int fd, int family) {
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
}

}  // namespace

size_t UnprovenLimit(size_t all) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return all;
  return std::min(all, std::max(kLeastUnproven, static_cast<size_t>(limit.rlim_cur) / kPartOfDescriptors));
}

absl::StatusOr<std::unique_ptr<ControlListener>> ControlListener::Open(const std::string& host, uint16_t port) {
  std::unique_ptr<ControlListener> listener(new ControlListener());
  listener->max_unproven_ = UnprovenLimit();
  listener->wake_.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!listener->wake_.valid()) return ErrnoStatus(errno, "eventfd");
  listener->reserve_.Reset(::fcntl(listener->wake_.get(), F_DUPFD_CLOEXEC, 0));
  absl::Status listens = listener->ListenAt(host.empty() ? "::" : host, port);
  // A host without IPv6.
  if (!listens.ok() && host.empty() && listener->listening_.empty()) listens = listener->ListenAt("0.0.0.0", port);
  if (!listens.ok()) return listens;
  return listener;
}

absl::Status ControlListener::ListenAt(const std::string& host, uint16_t port) {
  const std::string context = "listen on " + HostPort{host, port}.ToString();
  US_ASSIGN_OR_RETURN(const std::vector<SocketAddress> addresses,
                      ResolveBlocking(host, port, ResolvePurpose::kListen));
  port_ = port;
  int error = 0;
  for (const SocketAddress& address : addresses) {
    if (address.family() != AF_INET && address.family() != AF_INET6) continue;
    sockaddr_storage place{};
    std::copy_n(reinterpret_cast<const char*>(address.get()), address.length(), reinterpret_cast<char*>(&place));
    // The port that the first address got is the port of all.
    (address.family() == AF_INET ? reinterpret_cast<sockaddr_in*>(&place)->sin_port
                                 : reinterpret_cast<sockaddr_in6*>(&place)->sin6_port) = htons(port_);
    UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd.valid()) SetOptions(fd.get(), address.family());
    if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&place), address.length()) != 0 ||
        ::listen(fd.get(), kBacklog) != 0) {
      error = errno;
      // A host without IPv6 has names with such addresses all the same.
      if (error == EAFNOSUPPORT || error == EADDRNOTAVAIL) continue;
      return ListenError(context, error);
    }
    socklen_t size = sizeof(place);
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&place), &size) != 0) return ErrnoStatus(errno, context);
    port_ = NameOf(place).port;
    listening_.push_back(std::move(fd));
  }
  return listening_.empty() ? ListenError(context, error == 0 ? EADDRNOTAVAIL : error) : absl::OkStatus();
}

ControlListener::~ControlListener() {
  Stop();
}

void ControlListener::Start(Take take) {
  take_ = std::move(take);
  thread_ = std::thread([this] { Loop(); });
}

void ControlListener::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  const uint64_t one = 1;
  static_cast<void>(::write(wake_.get(), &one, sizeof(one)));
  if (thread_.joinable()) thread_.join();
  listening_.clear();
  const std::lock_guard lock(mutex_);
  unproven_.clear();
}

void ControlListener::Loop() {
  std::vector<pollfd> watched;
  while (true) {
    watched.assign(1, {.fd = wake_.get(), .events = POLLIN, .revents = 0});
    for (const UniqueFd& fd : listening_) watched.push_back({.fd = fd.get(), .events = POLLIN, .revents = 0});
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      // Only whether they have ended, at both ends.
      for (const Unproven& one : unproven_) watched.push_back({.fd = one.socket.get(), .events = 0, .revents = 0});
    }
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;
    if (watched.front().revents != 0) {
      uint64_t woken = 0;
      static_cast<void>(::read(wake_.get(), &woken, sizeof(woken)));
    }
    for (size_t i = 1; i <= listening_.size(); ++i) {
      if (watched[i].revents != 0) Accept(watched[i].fd);
    }
    const std::lock_guard lock(mutex_);
    unproven_.remove_if([&](const Unproven& one) {
      return std::any_of(watched.begin() + 1, watched.end(), [&](const pollfd& entry) {
        return entry.fd == one.socket.get() && (entry.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
      });
    });
  }
}

void ControlListener::Accept(int listening) {
  while (true) {
    UniqueFd connection(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      Admit(std::move(connection), listening);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) RefuseOne(listening);
    return;
  }
}

// Whoever waits would wait for ever, and be told of for ever.
void ControlListener::RefuseOne(int listening) {
  reserve_.Reset();
  UniqueFd(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)).Reset();
  reserve_.Reset(::fcntl(wake_.get(), F_DUPFD_CLOEXEC, 0));
  if (!reserve_.valid()) ::poll(nullptr, 0, kBreathMs);
}

void ControlListener::Admit(UniqueFd connection, int listening) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (::getpeername(connection.get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0) return;
  UniqueFd second(::fcntl(connection.get(), F_DUPFD_CLOEXEC, 0));
  if (!second.valid()) return;
  PeerName name = NameOf(peer);
  {
    const std::lock_guard lock(mutex_);
    if (TooManyProven()) return;
    if (unproven_.size() >= max_unproven_) {
      ::shutdown(unproven_.front().socket.get(), SHUT_RDWR);
      unproven_.pop_front();
    }
    unproven_.push_back({std::move(second), connection.get(), std::move(name.address), name.port});
  }
  take_(std::move(connection), listening);
}

void ControlListener::Proved(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(unproven_.begin(), unproven_.end(), [&](const Unproven& one) {
    return peer.ends_with(":" + std::to_string(one.port)) && peer.find(one.address) != std::string::npos;
  });
  if (found == unproven_.end()) return;
  proven_.push_back({found->fd, CookieOf(found->socket.get())});
  unproven_.erase(found);
}

bool ControlListener::TooManyProven() {
  if (proven_.size() < kMaxProvenConnections) return false;
  std::erase_if(proven_, [](const Proven& one) { return CookieOf(one.fd) != one.cookie; });
  return proven_.size() >= kMaxProvenConnections;
}

}  // namespace uringsync
