// ControlListener: takes the connections of the control port, and hands them to gRPC.
//
// gRPC 1.51 takes any number of connections, and where a process has no descriptor left it stops listening for good: strangers
// could end the service of an agent without a certificate. Here connections on which no call has come yet are bounded, one
// more ends the oldest of them, and where descriptors run out a connection is refused and the next one is listened for.
//
// Thread rule: Open, Start, Stop and destruction on one thread; Proved on any. It has a thread of its own.
// Use:  US_ASSIGN_OR_RETURN(std::unique_ptr<ControlListener> listener, ControlListener::Open("0.0.0.0", 7440));
//       listener->Start([&](UniqueFd connection, int listening) { ... });   ...   listener->Proved(peer);   listener->Stop();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

// Connections on which no call has come yet, where there are descriptors enough; else fewer.
constexpr size_t kMaxUnprovenConnections = 128;
// Of a port whose handshakes must not use up the descriptors of this process: its part of `all`, from 4.
size_t UnprovenLimit(size_t all = kMaxUnprovenConnections);
// On which one has come: each is of somebody with a certificate.
constexpr size_t kMaxProvenConnections = 512;

class ControlListener {
 public:
  // Owns the connection from then on. Called on the listener's thread.
  using Take = std::function<void(UniqueFd connection, int listening)>;
  // Listens at each address of `host` (empty: every one of this host). Unavailable or PermissionDenied, with address and
  // reason, where that cannot be.
  static absl::StatusOr<std::unique_ptr<ControlListener>> Open(const std::string& host, uint16_t port);
  ~ControlListener();
  ControlListener(const ControlListener&) = delete;
  ControlListener& operator=(const ControlListener&) = delete;

  uint16_t port() const { return port_; }
  void Start(Take take);
  // A call has come from this peer, as gRPC names it ("ipv4:10.0.0.7:51234").
  void Proved(const std::string& peer);
  // Nothing is taken any more. Idempotent.
  void Stop();

 private:
  struct Unproven {
    UniqueFd socket;  // a second descriptor: gRPC owns the first
    int fd = -1;      // which is this one
    std::string address;
    uint16_t port = 0;
  };
  // Tells whether a descriptor that belongs to gRPC is still that connection.
  struct Proven {
    int fd = -1;
    uint64_t cookie = 0;
  };
  ControlListener() = default;
  absl::Status ListenAt(const std::string& host, uint16_t port);
  void Loop();
  void Accept(int listening);
  void RefuseOne(int listening);
  void Admit(UniqueFd connection, int listening);
  bool TooManyProven();

  std::vector<UniqueFd> listening_;
  uint16_t port_ = 0;
  size_t max_unproven_ = kMaxUnprovenConnections;
  Take take_;
  UniqueFd wake_;     // eventfd
  UniqueFd reserve_;  // given up for a moment to refuse a connection
  std::thread thread_;
  std::mutex mutex_;  // of what follows
  bool stopping_ = false;
  std::list<Unproven> unproven_;  // oldest first
  std::vector<Proven> proven_;
};

}  // namespace uringsync
