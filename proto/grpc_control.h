// Coordinator's end of the gRPC control transport: a channel to one agent, and control streams on it.
//
// Use:  US_ASSIGN_OR_RETURN(auto channel, ControlChannel::Connect({.host = "backup1", .tls = {cert, key, ca}}));
//       US_ASSIGN_OR_RETURN(std::unique_ptr<ClientStream> stream, channel->OpenStream());
//
// Thread rule: Connect blocks its thread until the channel is usable or refused; OpenStream from any thread. A stream
// may outlive its channel object. Streams follow the rule of proto/transport.h; Send may even be called by several
// threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "proto/transport.h"

namespace uringsync {

constexpr uint16_t kDefaultControlPort = 7440;
constexpr uint16_t kDefaultDataPort = 7441;

// PEM files of this side of a mutual TLS connection.
struct ControlTlsFiles {
  std::string cert;   // own certificate, with intermediates
  std::string key;    // its private key
  std::string ca;     // certificates that vouch for the peer
  std::string crl{};  // who of them is revoked; empty: nobody
  // No TLS, no certificates, and so no file above: for tests over the loopback, which is the only way there is then.
  bool insecure = false;
};

// Whether and how streams over the network survive the loss of their connection.
struct Reconnecting {
  // How long another connection is tried for, from when the agent was last heard; 0: a stream ends with its connection.
  std::chrono::milliseconds limit{0};
  // An agent that says nothing for so long counts as lost.
  std::chrono::milliseconds silence{15'000};
  // The limit is one that was asked for: a stream that is over for it ends with DeadlineExceeded, else with
  // Unavailable.
  bool limit_is_asked = false;
};

// How to reach an agent: over the network (host, port, tls), or over an inherited connected stream socket (fd).
struct ChannelSpec {
  UniqueFd fd;  // valid: a private agent at the other end of this socket; everything below but the timeout is ignored
  std::string host;  // DNS name or address (IPv6 without brackets); must be one of the names in the agent's certificate
  uint16_t port = kDefaultControlPort;
  ControlTlsFiles tls;
  std::chrono::milliseconds connect_timeout{10'000};
  Reconnecting reconnecting{};
};

class ControlChannel {
 public:
  // Connects, TLS handshake included. Errors, each with what to do in the text:
  //   InvalidArgument    a TLS file is missing, unreadable or no PEM, the key does not belong to the certificate;
  //                      tls.insecure, and the host is not this one;
  //   Unauthenticated    a certificate was refused: of this side or of the agent, unknown CA, expired, name mismatch;
  //   Unavailable        nothing answers: refused, unreachable, unknown host;
  //   DeadlineExceeded   no answer within connect_timeout.
  static absl::StatusOr<std::unique_ptr<ControlChannel>> Connect(ChannelSpec spec);
  virtual ~ControlChannel() = default;

  // A new Agent.Session call; over a new connection where the TLS files were replaced since the last one. Failures of
  // the call itself show in Send and Receive. The stream's Close() cancels the call at once; its destructor
  // half-closes, gives the agent up to two seconds to end its side, then cancels.
  virtual absl::StatusOr<std::unique_ptr<ClientStream>> OpenStream() = 0;
  // "backup1:7440", or "private agent".
  virtual const std::string& name() const = 0;
};

// Sends gRPC's own diagnostics to nowhere (they go to stderr and repeat what our errors say), unless GRPC_VERBOSITY is
// set. Connect calls it; programs may earlier.
void QuietGrpcLogs();

}  // namespace uringsync
