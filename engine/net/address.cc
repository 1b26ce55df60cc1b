#include "engine/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/coro/executor.h"

namespace uringsync {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";

absl::Status BadHostPort(std::string_view text, std::string_view why) {
  std::string message = "'" + EscapeName(text) + "' is no address: ";
  message += why;
  message += "; write HOST, HOST:PORT, [IPv6]:PORT or unix:/path";
  return MakeStatus(absl::StatusCode::kInvalidArgument, message);
}

absl::StatusOr<uint16_t> ParsePort(std::string_view whole, std::string_view digits) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return BadHostPort(whole, "the port must be a number from 0 to 65535");
  }
  return port;
}

// Result of getaddrinfo as our values; the helper thread and literals share it.
absl::StatusOr<std::vector<SocketAddress>> Lookup(const std::string& host, uint16_t port, ResolvePurpose purpose,
                                                  int extra_flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | extra_flags | (purpose == ResolvePurpose::kListen ? AI_PASSIVE : 0);
  const std::string service = std::to_string(port);
  addrinfo* list = nullptr;
  const int rc = getaddrinfo(host.empty() ? nullptr : host.c_str(), service.c_str(), &hints, &list);
  if (rc != 0) {
    const int saved = errno;
    const std::string context = "resolve '" + EscapeName(host) + "'";
    if (rc == EAI_SYSTEM) return ErrnoStatus(saved, context);
    const bool unknown = rc == EAI_NONAME || rc == EAI_NODATA;
    return MakeStatus(unknown ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable,
                      context + ": " + gai_strerror(rc));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    if (at->ai_addrlen <= sizeof(sockaddr_storage)) {
      addresses.push_back(SocketAddress::FromSockaddr(at->ai_addr, at->ai_addrlen));
    }
  }
  freeaddrinfo(list);
  if (addresses.empty()) {
    return MakeStatus(absl::StatusCode::kNotFound, "resolve '" + EscapeName(host) + "': no address");
  }
  return addresses;
}

bool NeedsNoNameService(const std::string& host) {
  return host.empty() || host.starts_with(kUnixPrefix) || IsIpLiteral(host);
}

// Runs the look-up on a thread of its own and resumes the coroutine where it was: with the answer, or without it when
// the call is cancelled. The thread shares what it needs, because the name service cannot be interrupted.
class LookupAwaiter {
 public:
  LookupAwaiter(std::string host, uint16_t port, ResolvePurpose purpose, CancelToken cancel)
      : lookup_(std::make_shared<Shared>()), cancel_(std::move(cancel)) {
    lookup_->host = std::move(host);
    lookup_->port = port;
    lookup_->purpose = purpose;
  }
  LookupAwaiter(const LookupAwaiter&) = delete;
  LookupAwaiter& operator=(const LookupAwaiter&) = delete;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    lookup_->waiter = handle;
    lookup_->executor = Executor::Current();
    std::thread([lookup = lookup_] {
      lookup->End(Lookup(lookup->host, lookup->port, lookup->purpose, AI_ADDRCONFIG));
    }).detach();
    registration_ = cancel_.OnCancel([lookup = lookup_, cancel = cancel_] { lookup->End(cancel.status()); });
  }
  absl::StatusOr<std::vector<SocketAddress>> await_resume() {
    registration_ = CancelToken::Registration();
    return std::move(lookup_->result);
  }

 private:
  struct Shared {
    std::string host;
    uint16_t port = 0;
    ResolvePurpose purpose = ResolvePurpose::kConnect;
    Executor* executor = nullptr;
    std::mutex mutex;
    std::coroutine_handle<> waiter;  // null once there is a result
    absl::StatusOr<std::vector<SocketAddress>> result{absl::UnknownError("not resolved")};

    // The first end counts. Nothing of the executor is touched after a later one.
    void End(absl::StatusOr<std::vector<SocketAddress>> outcome) {
      std::lock_guard lock(mutex);
      if (!waiter) return;
      result = std::move(outcome);
      executor->Post(std::exchange(waiter, nullptr));
    }
  };
  const std::shared_ptr<Shared> lookup_;
  const CancelToken cancel_;
  CancelToken::Registration registration_;
};

}  // namespace

std::string HostPort::ToString() const {
  if (host.starts_with(kUnixPrefix)) return host;
  if (host.find(':') != std::string::npos) return "[" + host + "]:" + std::to_string(port);
  return host + ":" + std::to_string(port);
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text, uint16_t default_port) {
  if (text.empty()) return BadHostPort(text, "it is empty");
  if (text.find('\0') != std::string_view::npos) return BadHostPort(text, "it holds a NUL byte");
  if (text.starts_with(kUnixPrefix)) {
    if (text.size() == kUnixPrefix.size()) return BadHostPort(text, "the path is missing");
    return HostPort{std::string(text), 0};
  }
  HostPort result{.host = "", .port = default_port};
  std::string_view rest;
  if (text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return BadHostPort(text, "']' is missing");
    result.host = std::string(text.substr(1, close - 1));
    if (!IsIpLiteral(result.host)) return BadHostPort(text, "there is no IPv6 address between the brackets");
    rest = text.substr(close + 1);
  } else if (IsIpLiteral(text)) {
    result.host = std::string(text);
  } else {
    const size_t colon = text.find(':');
    result.host = std::string(text.substr(0, colon));
    if (colon != std::string_view::npos) rest = text.substr(colon);
  }
  if (rest.empty()) return result;
  if (rest.front() != ':') return BadHostPort(text, "unexpected text after the host");
  US_ASSIGN_OR_RETURN(result.port, ParsePort(text, rest.substr(1)));
  return result;
}

bool IsIpLiteral(std::string_view host) {
  // A scope ("fe80::1%eth0") is part of a literal for connecting, not for inet_pton.
  const std::string text(host.substr(0, host.find('%')));
  in6_addr v6{};
  in_addr v4{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) return true;
  return text.size() == host.size() && inet_pton(AF_INET, text.c_str(), &v4) == 1;
}

SocketAddress SocketAddress::FromSockaddr(const sockaddr* address, socklen_t length) {
  SocketAddress result;
  result.length_ = length < sizeof(result.storage_) ? length : static_cast<socklen_t>(sizeof(result.storage_));
  std::memcpy(&result.storage_, address, result.length_);
  return result;
}

absl::StatusOr<SocketAddress> SocketAddress::FromUnixPath(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "unix socket path '" + EscapeName(path) +
                                                              "' must have 1 to " +
                                                              std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return FromSockaddr(reinterpret_cast<const sockaddr*>(&address),
                      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1));
}

uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  return 0;
}

bool SocketAddress::IsLoopback() const {
  constexpr uint32_t kNetwork = 127;
  if (family() == AF_UNIX) return true;
  if (family() == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr.s_addr) >> 24 == kNetwork;
  if (family() != AF_INET6) return false;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == kNetwork);
}

std::string SocketAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, text, sizeof(text));
    return std::string(text) + ":" + std::to_string(port());
  }
  if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr, text, sizeof(text));
    return "[" + std::string(text) + "]:" + std::to_string(port());
  }
  if (family() == AF_UNIX) {
    const auto* unix_address = reinterpret_cast<const sockaddr_un*>(&storage_);
    const size_t offset = offsetof(sockaddr_un, sun_path);
    const size_t room = length_ > offset ? length_ - offset : 0;
    return std::string(kUnixPrefix) +
           EscapeName(std::string_view(unix_address->sun_path, strnlen(unix_address->sun_path, room)));
  }
  return "address of family " + std::to_string(family());
}

absl::StatusOr<std::vector<SocketAddress>> ResolveBlocking(const std::string& host, uint16_t port,
                                                           ResolvePurpose purpose) {
  if (host.find('\0') != std::string::npos) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "host '" + EscapeName(host) + "' holds a NUL byte");
  }
  if (host.starts_with(kUnixPrefix)) {
    US_ASSIGN_OR_RETURN(SocketAddress address,
                        SocketAddress::FromUnixPath(std::string_view(host).substr(kUnixPrefix.size())));
    return std::vector<SocketAddress>{address};
  }
  if (NeedsNoNameService(host)) return Lookup(host, port, purpose, host.empty() ? 0 : AI_NUMERICHOST);
  return Lookup(host, port, purpose, AI_ADDRCONFIG);
}

absl::StatusOr<std::vector<SocketAddress>> ResolveWithin(const std::string& host, uint16_t port,
                                                         std::chrono::milliseconds limit) {
  if (NeedsNoNameService(host) || host.find('\0') != std::string::npos) return ResolveBlocking(host, port);
  // Shared with the thread: a name service that never answers outlives this call.
  struct Answer {
    std::mutex mutex;
    std::condition_variable there;
    std::optional<absl::StatusOr<std::vector<SocketAddress>>> addresses;
  };
  const auto answer = std::make_shared<Answer>();
  std::thread([answer, host, port] {
    absl::StatusOr<std::vector<SocketAddress>> found = Lookup(host, port, ResolvePurpose::kConnect, AI_ADDRCONFIG);
    std::lock_guard lock(answer->mutex);
    answer->addresses = std::move(found);
    answer->there.notify_all();
  }).detach();
  std::unique_lock lock(answer->mutex);
  if (!answer->there.wait_for(lock, limit, [&answer] { return answer->addresses.has_value(); })) {
    return MakeStatus(absl::StatusCode::kDeadlineExceeded,
                      "resolve '" + EscapeName(host) + "': no answer of the name service in time");
  }
  return *std::move(answer->addresses);
}

Task<absl::StatusOr<std::vector<SocketAddress>>> Resolve(std::string host, uint16_t port, ResolvePurpose purpose,
                                                         CancelToken cancel) {
  if (NeedsNoNameService(host) || host.find('\0') != std::string::npos) co_return ResolveBlocking(host, port, purpose);
  LookupAwaiter lookup(std::move(host), port, purpose, std::move(cancel));
  absl::StatusOr<std::vector<SocketAddress>> addresses = co_await lookup;
  co_return addresses;
}

}  // namespace uringsync
