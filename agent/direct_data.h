// DirectData: data connections past the channel of a remote shell, under keys that are made for one run (uringsync's
// --direct).
//
// The command sends the same keys to both agents over control streams that the shell protects. Whoever has them belongs
// to the run, and a connection says the session's secret besides.
//
// Thread rule: Open and Stop on threads that are no shard's; tls on any.
// Use:  DirectData direct({.runtime = runtime, .table = &table});
//       US_ASSIGN_OR_RETURN(DirectReply reply, direct.Open(query));   ...   direct.Stop();
#pragma once

#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

class DataServer;
class Runtime;
class SessionTable;
class TlsContext;

struct DirectDataOptions {
  Runtime* runtime = nullptr;
  SessionTable* table = nullptr;
};

class DirectData {
 public:
  explicit DirectData(DirectDataOptions options);
  // Stops.
  ~DirectData();
  DirectData(const DirectData&) = delete;
  DirectData& operator=(const DirectData&) = delete;

  // Takes the run's keys, and listens where the query asks for it: at the address to which the shell was led, or at
  // every one where that is not known. FailedPrecondition when it was asked before, InvalidArgument for keys that are
  // none, else what the listener says.
  absl::StatusOr<DirectReply> Open(const DirectQuery& query);
  // Null before Open.
  std::shared_ptr<const TlsContext> tls() const;
  // Closes the listener; after the sessions. Idempotent.
  void Stop();

 private:
  const DirectDataOptions options_;
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> tls_;
  std::unique_ptr<DataServer> server_;
};

// The address of this host in what sshd says of a connection ($SSH_CONNECTION: "CLIENT PORT SERVER PORT"); empty where
// it is not told.
std::string AddressOfShell(const char* connection);

}  // namespace uringsync
