// Listener: a listening TCP or unix socket, and the loop that hands its connections to shards.
//
// Thread rule: one shard, the one whose driver it was given. An AcceptedSocket may move to another shard.
//
// Use:  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<Listener> listener, co_await Listener::Listen(driver, {.host = "", .port
// = 0}));
//       co_await ServeConnections(listener.get(), runtime, Handle, kMaxConnections);   // until listener->Close()
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "engine/net/address.h"
#include "engine/net/tcp_stream.h"
#include "engine/ring/driver.h"
#include "engine/ring/runtime.h"

namespace uringsync {

struct ListenOptions {
  std::string host;   // empty: every address; a name, a literal, or "unix:/path"
  uint16_t port = 0;  // 0: the kernel chooses
  // The option that sets this address, for messages; empty: none.
  std::string option = "--data-listen";
};
constexpr int kListenBacklog = 256;

class Listener {
 public:
  // Binds the first address of the host that can be bound. Errors say the address, the reason and what to do, e.g.
  // "cannot listen on 0.0.0.0:7441: Address already in use; another agent may be running, choose another with
  // --data-listen" (FailedPrecondition; PermissionDenied for a privileged port).
  static Task<absl::StatusOr<std::unique_ptr<Listener>>> Listen(Driver* driver, ListenOptions options);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Next connection. Aborted connections are passed over; while descriptors or memory are out it waits and tries again.
  // Cancelled after Close(). One Accept at a time.
  Task<absl::StatusOr<AcceptedSocket>> Accept();
  // A waiting Accept returns Cancelled soon. Idempotent.
  void Close();

  // The port that was bound, chosen or asked; 0 for unix.
  uint16_t port() const { return address_.port(); }
  std::string address() const { return address_.ToString(); }

 private:
  Listener(Driver* driver, UniqueFd fd, SocketAddress address);

  Driver* const driver_;
  UniqueFd fd_;
  const SocketAddress address_;
  bool closed_ = false;
  Op* pending_ = nullptr;  // in flight: accept, or the pause after running out of descriptors
};

// Runs on the shard that it is called with; makes its TcpStream with Shard::Current()->driver().
using ConnectionHandler = std::function<Task<void>(AcceptedSocket)>;

// Accepts until `listener` is closed and spawns `handler` for each connection on the runtime's shards in turn, at most
// `max_connections` at once (further ones wait in the backlog). Returns when every handler has ended: OK after Close(),
// else what broke the listener. Runs on the listener's shard.
Task<absl::Status> ServeConnections(Listener* listener, Runtime* runtime, ConnectionHandler handler,
                                    size_t max_connections);

}  // namespace uringsync
