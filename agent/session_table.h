// SessionTable: the live sessions of an agent, so that data connections and a destination in the same agent find them.
//
// Thread rule: every method from any thread.
// Use:  SessionTable table;
//       US_RETURN_IF_ERROR(table.AddSource(id, source));  ...  table.RemoveSource(id);
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/coro/task.h"
#include "engine/net/stream.h"
#include "engine/transfer/data_channel.h"
#include "engine/transfer/source_reader.h"
#include "proto/messages.h"

namespace uringsync {

class Shard;

// A source session as others use it. Its implementation stays whole while anybody holds it.
class LiveSource {
 public:
  virtual ~LiveSource() = default;
  virtual const SessionToken& token() const = 0;
  // A reader of the session's tree for `shard`, to be used on it. Cancelled when the session has ended.
  virtual absl::StatusOr<std::unique_ptr<SourceReader>> MakeReader(Shard* shard) = 0;
  // Ends the session with this error for its coordinator. Any thread.
  virtual void Break(const std::string& why) = 0;
  // Serves one data connection on the running shard until it or the session ends. The result is why.
  virtual Task<absl::Status> Serve(std::unique_ptr<ReplyChannel> channel) = 0;
};

// A destination session that waits for connections of its source (DataRoute::kAccept).
class LiveDestination {
 public:
  virtual ~LiveDestination() = default;
  virtual const SessionToken& token() const = 0;
  // Ends the session with this error for its coordinator. Any thread.
  virtual void Break(const std::string& why) = 0;
  // Uses one data connection on the running shard until it or the session ends.
  virtual Task<absl::Status> Use(std::unique_ptr<RequestChannel> channel) = 0;
};

class SessionTable {
 public:
  static constexpr size_t kMaxSessions = 1024;
  SessionTable() = default;
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  // AlreadyExists for an id in use in that role; ResourceExhausted beyond kMaxSessions.
  absl::Status AddSource(const SessionId& id, std::shared_ptr<LiveSource> source);
  absl::Status AddDestination(const SessionId& id, std::shared_ptr<LiveDestination> destination);
  void RemoveSource(const SessionId& id);
  void RemoveDestination(const SessionId& id);

  // PermissionDenied for an unknown session and for a wrong token alike: a stranger learns nothing. The token is
  // compared in constant time, and is worth nothing once its session has ended.
  // `peer`: the certificate that was shown with it, or null where none is asked for. The first one that shows a token
  // keeps it: with another name's certificate it is a wrong token from then on.
  absl::StatusOr<std::shared_ptr<LiveSource>> FindSource(const SessionId& id, const SessionToken& token,
                                                         const PeerIdentity* peer = nullptr);
  absl::StatusOr<std::shared_ptr<LiveDestination>> FindDestination(const SessionId& id, const SessionToken& token,
                                                                   const PeerIdentity* peer = nullptr);
  // Breaks the sessions that have data connections of a certificate (PEM) that is revoked. How many they were.
  size_t BreakRevoked(const std::function<bool(const std::string& pem)>& revoked);

 private:
  template <typename T>
  struct Row {
    std::shared_ptr<T> session;
    std::vector<std::string> names;         // of the certificate that the token belongs to
    std::vector<std::string> certificates;  // shown with those names, as PEM; the latest of them
  };
  template <typename T>
  using Rows = std::map<SessionId, Row<T>>;
  template <typename T>
  static absl::Status Add(Rows<T>* rows, const SessionId& id, std::shared_ptr<T> session);
  template <typename T>
  static absl::StatusOr<std::shared_ptr<T>> Find(Rows<T>* rows, const SessionId& id, const SessionToken& token,
                                                 const PeerIdentity* peer);

  std::mutex mutex_;
  Rows<LiveSource> sources_;
  Rows<LiveDestination> destinations_;
};

}  // namespace uringsync
