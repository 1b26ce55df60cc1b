// RemoteContentSource: contents from a peer, over the data connections of one shard.
//
// Requests of all callers are coalesced: while one RequestMessage is being sent, the next one fills. One receiver
// coroutine per connection hands replies to the waiting requests. What is outstanding is bounded in bytes (the credit
// of the data plane): replies are small next to it, so a receiver never has to stop reading, and one slow file does not
// hold up the others.
//
// Connections land on shards as they come. A shard that has none at the moment fetches over a connection of another
// shard of its group: the request travels there, the answers come back to the sink's shard.
//
// Thread rule: one shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/coro/channel.h"
#include "engine/coro/held_back.h"
#include "engine/coro/scope.h"
#include "engine/coro/semaphore.h"
#include "engine/transfer/content_source.h"
#include "engine/transfer/data_channel.h"
#include "engine/transfer/fetch_window.h"

namespace uringsync {

// Content bytes that one shard may have asked for and not yet written, while the way to the source is short.
constexpr size_t kOutstandingBytesPerShard = FetchWindow::kLeastBytes;
// Small files in flight per shard for a remote source, likewise: covers a disk and a local network.
constexpr size_t kRemoteConcurrency = FetchWindow::kLeastRequests;
// Connections that one shard will use.
constexpr size_t kMaxChannelsPerShard = 64;

class RemoteContentSource;

// The sources of one session, one a shard. Thread rule: every method from any thread.
class RemoteSourceGroup {
 public:
  void Add(RemoteContentSource* source);
  void Remove(RemoteContentSource* source);
  // A source that has a connection; nullptr when none has. All sources of a group live until no fetch is under way.
  RemoteContentSource* AnyUsable() const;
  // Resumes when a source gets a connection or is closed; at once where one has a connection by now.
  struct ChangeAwaiter {
    RemoteSourceGroup* group;
    const RemoteContentSource* source;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    void await_resume() const noexcept {}
  };
  // For `source`, which is not usable and not closed, on its shard.
  ChangeAwaiter Changed(const RemoteContentSource* source) { return ChangeAwaiter{this, source}; }
  void WakeAll();

 private:
  RemoteContentSource* AnyUsableLocked() const;

  mutable std::mutex mutex_;
  std::vector<RemoteContentSource*> sources_;
  std::vector<std::pair<Executor*, std::coroutine_handle<>>> waiters_;
};

class RemoteContentSource final : public ContentSource {
 public:
  // Without `group` it is alone.
  explicit RemoteContentSource(Executor* shard, std::shared_ptr<RemoteSourceGroup> group = nullptr);
  // CHECKs that Run has ended.
  ~RemoteContentSource() override;

  // Uses `channel` until it ends; returns why. OK or Cancelled after Close(). Requests that were under way on it end as
  // Unavailable. May run several times at once, one for each connection. On the shard.
  Task<absl::Status> Run(std::unique_ptr<RequestChannel> channel);
  // No (further) connection will come: waiting and later calls end with `reason`. On the shard.
  void Close(absl::Status reason);
  // Close after telling the peers that this is an orderly end. On the shard.
  Task<void> End();
  // Suspends until no Run is under way any more. After Close.
  Task<void> Drained();

  Task<absl::Status> Fetch(FileRequest request, ReplySink* sink) override;
  Task<absl::Status> WaitUsable() override;
  // Of its own connections: WaitUsable also returns where another source of the group has one.
  bool usable() const override { return live_channels_.load(std::memory_order_relaxed) > 0; }
  void SetOnUsable(std::function<void()> callback) override { on_usable_ = std::move(callback); }
  // Follows the round trip and the rate (fetch_window.h).
  size_t concurrency() const override { return window_.requests(); }
  size_t max_concurrency() const override { return FetchWindow::kMostRequests; }
  uint64_t outstanding_bytes() const override { return window_.bytes(); }
  uint64_t wire_bytes() const override;
  // Replies taken from connections of this source. On the shard.
  uint64_t replies() const { return replies_; }

 private:
  struct Pending;
  struct Connection;
  friend class RemoteSourceGroup;
  Connection* Pick();
  // Over a connection of this source; nullopt when it has none. On its shard.
  // `*latency` is how long the first item took.
  Task<std::optional<absl::Status>> FetchHere(FileRequest request, ReplySink* sink, FetchWindow::Time* latency);
  // Over a connection of `peer`; ends on this shard. nullopt as above.
  Task<std::optional<absl::Status>> FetchThrough(RemoteContentSource* peer, FileRequest request, ReplySink* sink,
                                                 FetchWindow::Time* latency);
  void RefuseUnsendable(Connection* connection, RequestMessage message, const absl::Status& reason);
  Task<void> SendLoop(Connection* connection);
  Task<absl::Status> ReceiveLoop(Connection* connection);
  absl::Status Deliver(Connection* connection, std::shared_ptr<ReplyMessage> message);
  void Break(Connection* connection, absl::Status reason);

  Executor* const shard_;
  const std::shared_ptr<RemoteSourceGroup> group_;
  std::vector<Connection*> connections_;
  std::atomic<size_t> live_channels_{0};
  std::atomic<uint64_t> finished_wire_bytes_{0};
  std::atomic<uint64_t> live_wire_bytes_{0};
  uint64_t next_id_ = 1;
  uint64_t replies_ = 0;
  FetchWindow window_;
  Semaphore credit_{FetchWindow::kMostBytes};
  HeldBack credit_held_{&credit_, kOutstandingBytesPerShard};
  absl::Status closed_;  // not OK: no connection will come
  bool is_closed_ = false;
  std::function<void()> on_usable_;
  std::coroutine_handle<> end_waiter_;  // of End
  size_t running_ = 0;                  // calls of Run
  std::vector<std::coroutine_handle<>> drain_waiters_;
};

}  // namespace uringsync
