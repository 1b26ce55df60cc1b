// Socket addresses and HOST:PORT text as values.
//
// A host is a DNS name, an IPv4 or IPv6 literal, or "unix:/path" (then the port means nothing). Thread rule: values.
//
// Use:  US_ASSIGN_OR_RETURN(HostPort where, ParseHostPort("[::1]:7441", 7441));
//       US_ASSIGN_OR_RETURN(auto addresses, ResolveBlocking(where.host, where.port));   // at start-up, on no shard
//       auto addresses = co_await Resolve(host, port);                                   // on a shard
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/coro/cancel.h"
#include "engine/coro/task.h"

namespace uringsync {

struct HostPort {
  std::string host;
  uint16_t port = 0;
  // "host:7441", "[::1]:7441", "unix:/path".
  std::string ToString() const;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};
// Accepts "host", "host:port", ":port" (every address), "1.2.3.4:port", "[v6]", "[v6]:port", "::1", "unix:/path".
// InvalidArgument names what is wrong and shows the form wanted.
absl::StatusOr<HostPort> ParseHostPort(std::string_view text, uint16_t default_port);

// True for an IPv4 or IPv6 literal (without brackets).
bool IsIpLiteral(std::string_view host);

class SocketAddress {
 public:
  SocketAddress() = default;
  static SocketAddress FromSockaddr(const sockaddr* address, socklen_t length);
  // InvalidArgument for a path that does not fit into sockaddr_un (107 bytes).
  static absl::StatusOr<SocketAddress> FromUnixPath(std::string_view path);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }
  int family() const { return storage_.ss_family; }
  // 0 for unix sockets.
  uint16_t port() const;
  // "10.0.0.1:7441", "[::1]:7441", "unix:/run/agent.sock", "unix:" for an unnamed one.
  std::string ToString() const;
  // Whether nobody but this host is there: 127.0.0.0/8, ::1, the former in its mapped form, a unix socket.
  bool IsLoopback() const;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

enum class ResolvePurpose : uint8_t { kConnect, kListen };

// All addresses of `host` in the resolver's order of preference, at least one. An empty host means every local address
// for kListen and the loopback for kConnect. Errors: NotFound for an unknown name, Unavailable when the name service
// failed. May block for seconds unless the host is a literal: never call it on a shard with a name.
absl::StatusOr<std::vector<SocketAddress>> ResolveBlocking(const std::string& host, uint16_t port,
                                                           ResolvePurpose purpose = ResolvePurpose::kConnect);

// The same for a connection, for a thread that is no shard, and with a time limit: DeadlineExceeded once it has passed.
// The name service is left to a thread of its own then, which ends when it has answered.
absl::StatusOr<std::vector<SocketAddress>> ResolveWithin(const std::string& host, uint16_t port,
                                                         std::chrono::milliseconds limit);

// The same without blocking the shard: literals and unix paths inline, names on a helper thread. A cancelled call
// returns `cancel`'s reason at once; its helper thread ends when the name service has answered.
Task<absl::StatusOr<std::vector<SocketAddress>>> Resolve(std::string host, uint16_t port,
                                                         ResolvePurpose purpose = ResolvePurpose::kConnect,
                                                         CancelToken cancel = {});

}  // namespace uringsync
