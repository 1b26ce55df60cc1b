// SessionHandler: what the agent daemon calls for every control stream that a peer opens.
//
// Wiring in agent/main.cc, in this order, torn down in reverse (names on the right are the session people's):
//   Runtime                    engine/ring/runtime.h
//   Roots                      agent/roots.h
//   SessionTable               agent/session_table.h: sessions by id, shared by handler and data server;
//   default-constructible DataServer                 agent/data_server.h: static StatusOr<unique_ptr<DataServer>>
//   Start(DataServerOptions);
//                              uint16_t port() const; void Stop() (idempotent; the destructor calls it)
//                              DataServerOptions { Runtime* runtime; SessionTable* table; std::shared_ptr<TlsIdentity> tls;
//                                                  std::string host; uint16_t port; }       (port 0: any; absent in a
//                                                  private agent)
//   SessionRunner              agent/session.h: class SessionRunner final : public SessionHandler, made from an
//   AgentContext ControlServer              agent/control_service.h
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/coro/cancel.h"
#include "engine/net/stream.h"
#include "proto/control_peer.h"
#include "proto/transport.h"

namespace uringsync {

class AccessList;
class PinnedAncestors;
class DirectData;
class LockHolders;
class Roots;
class RootIndexes;
class Runtime;
class SessionTable;
class TlsIdentity;

// Makes a data stream to the one peer of this process. On shard 0.
using OpenPeer = std::function<absl::StatusOr<std::unique_ptr<Stream>>()>;

// What a session may use of its agent. Everything pointed to outlives the handler.
struct AgentContext {
  Runtime* runtime = nullptr;
  const Roots* roots = nullptr;
  const AccessList* access = nullptr;  // of whom shows a certificate; null: the peer is trusted with everything
  SessionTable* table = nullptr;
  const RootIndexes* indexes = nullptr;  // null: the agent keeps none
  // For data connections that this agent opens (DataRoute kConnect, ConnectData); null without certificates.
  std::shared_ptr<TlsIdentity> data_client_tls;
  uint16_t data_port = 0;  // of the data server; 0: none (private agent)
  // Where a remote shell's channel leads to the peer: data streams are opened and arrive there, not over the network.
  OpenPeer open_peer;
  DirectData* direct = nullptr;          // null: an agent that listens for everybody has no use for it
  PinnedAncestors* ancestors = nullptr;  // of roots above which nothing may be opened any more
  // Sessions without a root's name, on paths of this host: only where a command started this agent for itself.
  bool host_paths = false;
  bool fake_super = false;   // its drivers keep in attributes what only a privileged process may set (fake_super.h)
  bool device_data = false;  // sessions may read and write what devices hold
  // Of sessions whose coordinator may lose its connection and come back; null: none may.
  LockHolders* lock_holders = nullptr;
  std::string who;  // the names of the peer's certificate; empty where it shows none
};

class SessionHandler {
 public:
  virtual ~SessionHandler() = default;

  // Serves one control stream from Hello to its end, on a thread that is no shard; returns when everything of the
  // session has ended (scopes joined, temporaries removed, lock released). Many run at once on different threads.
  //
  // `shutdown` is cancelled when the agent stops: work must end soon. The service sends SessionError{kInterrupted}
  // itself and lets no message of the handler follow it; stream->Receive() returns Cancelled then.
  //
  // The result is the session's outcome for the audit line: OK for a session that ran to its end (problems of single
  // objects included), else why it ended. It is not sent to the peer: the handler has sent its SessionError.
  virtual absl::Status Run(AgentStream* stream, const ControlPeer& peer, CancelToken shutdown) = 0;
};

// One line per event that an auditor asks about: who did what where, with which result. Session code calls it when a
// session is opened and when it has ended. Every field is escaped by the log. `result` OK prints "ok".
void LogSessionAudit(const ControlPeer& peer, std::string_view event, std::string_view role, std::string_view root,
                     std::string_view path, const absl::Status& result);

}  // namespace uringsync
