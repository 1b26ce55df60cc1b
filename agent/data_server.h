// DataServer: the agent's data-plane port.
//
// Every connection is accepted on shard 0, handed to a shard (round robin), secured there, and must say within a
// deadline which session it belongs to; then the session uses it. A private agent has none. Who is refused is logged,
// so many a minute.
//
// A remote shell's channel brings data streams to the same sessions without a port: ServeDataStream.
//
// Thread rule: Start, Stop and destruction on one thread that is no shard.
// Use:  US_ASSIGN_OR_RETURN(std::unique_ptr<DataServer> server, DataServer::Start({.runtime = &runtime, .table =
// &table, .tls = tls,
//                                                                                  .host = "0.0.0.0", .port = 7441}));
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/coro/task.h"
#include "engine/net/stream.h"

namespace uringsync {

class Runtime;
class SessionTable;
class TlsIdentity;

// Serves one data stream of a peer that needs no certificate, on the running shard: its hello, then what its session
// does with it, to the end.
Task<void> ServeDataStream(std::unique_ptr<Stream> stream, SessionTable* table);

struct DataServerOptions {
  Runtime* runtime = nullptr;
  SessionTable* table = nullptr;
  std::shared_ptr<TlsIdentity> tls;       // server side, asks for a client certificate
  std::string host;                       // address to listen on
  uint16_t port = 0;                      // 0: any free one
  std::string option = "--data-listen";   // that sets the address, for messages
  // Connections that have not said yet which session they belong to. One more makes the oldest of them end: silent
  // strangers cannot keep the agent's own peers out.
  size_t max_handshakes = 128;
};

class DataServer {
 public:
  // Connections that are served or being opened at once; further ones are closed at once.
  static constexpr size_t kMaxConnections = 1024;
  // How long a connection may take to say which session it belongs to.
  static constexpr std::chrono::seconds kHandshakeLimit{10};
  // Unavailable or PermissionDenied with the address when it cannot listen there.
  static absl::StatusOr<std::unique_ptr<DataServer>> Start(DataServerOptions options);
  ~DataServer();
  DataServer(const DataServer&) = delete;
  DataServer& operator=(const DataServer&) = delete;

  uint16_t port() const;
  // Closes the listener and every connection that no session uses yet, and waits for all coroutines: sessions have
  // ended before. Idempotent.
  void Stop();

 private:
  struct State;
  explicit DataServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace uringsync
