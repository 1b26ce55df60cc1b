// ControlServer: the agent's gRPC server, on a port with mutual TLS or on an inherited socket.
//
// It admits sessions up to a bound, gives each to the SessionHandler on its own thread, logs how it ended, and ends all
// of them in good order when it stops.
//
// Thread rule: Start, Stop and destruction on one thread that is no shard.
// Use:  US_ASSIGN_OR_RETURN(auto server, ControlServer::Start({.handler = &runner, .host = "0.0.0.0", .port = 7440,
// .tls = identity}));
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/session_handler.h"
#include "engine/base/unique_fd.h"
#include "engine/net/tls_identity.h"

namespace uringsync {

// Control streams served at once; a source and a destination in one agent are two. Further ones are told so.
constexpr size_t kMaxControlSessions = 128;
// How long Stop lets coordinators hang up by themselves.
constexpr std::chrono::milliseconds kStopGrace{2000};

struct ControlServerOptions {
  SessionHandler* handler = nullptr;
  std::string host;   // address to listen on; empty: every one
  uint16_t port = 0;  // 0: any free one
  std::shared_ptr<TlsIdentity> tls;
  UniqueFd private_socket;  // valid: serve only its other end, without TLS; host, port and tls are ignored
  bool health = false;
  bool reflection = false;
  size_t max_sessions = kMaxControlSessions;
  // How long a session is kept at most whose coordinator has lost its connection; 0: it ends at once.
  std::chrono::milliseconds session_hold{600'000};
};

class ControlServer {
 public:
  // Unavailable or PermissionDenied, with address and reason, when it cannot listen there.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(ControlServerOptions options);
  // Stops.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // 0 for a private agent.
  uint16_t port() const;
  size_t sessions() const;
  // Ends the sessions of coordinators whose certificate is revoked, each told so. How many they were.
  size_t BreakRevoked(const TlsContext& now);
  // Cuts off those of them that do not end by themselves; to be called now and then.
  void CutOverdue();
  // Takes no further session, sends SessionError{kInterrupted} to every coordinator, cancels the handlers' tokens, and
  // returns when every handler has; streams that still live after `grace` are cut. Idempotent.
  void Stop(std::chrono::milliseconds grace = kStopGrace);

 private:
  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace uringsync
