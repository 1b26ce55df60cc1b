// SessionTable: the live sessions of an agent, so that data connections and a destination in the same agent find them.
//
// Thread rule: every method from any thread.
// Use:  SessionTable table;
//       US_RETURN_IF_ERROR(table.AddSource(id, source));  ...  table.RemoveSource(id);
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/coro/task.h"
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
  // Serves one data connection on the running shard until it or the session ends. The result is why.
  virtual Task<absl::Status> Serve(std::unique_ptr<ReplyChannel> channel) = 0;
};

// A destination session that waits for connections of its source (DataRoute::kAccept).
class LiveDestination {
 public:
  virtual ~LiveDestination() = default;
  virtual const SessionToken& token() const = 0;
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
  // compared in constant time.
  absl::StatusOr<std::shared_ptr<LiveSource>> FindSource(const SessionId& id, const SessionToken& token) const;
  absl::StatusOr<std::shared_ptr<LiveDestination>> FindDestination(const SessionId& id,
                                                                   const SessionToken& token) const;

 private:
  mutable std::mutex mutex_;
  std::map<SessionId, std::shared_ptr<LiveSource>> sources_;
  std::map<SessionId, std::shared_ptr<LiveDestination>> destinations_;
};

}  // namespace uringsync
