#include "engine/transfer/remote_source.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/transfer/signature_request.h"

namespace uringsync {
namespace {

// Suspends the only waiter of `slot`.
struct SuspendIn {
  std::coroutine_handle<>* slot;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const { *slot = handle; }
  void await_resume() const noexcept {}
};

void Wake(Executor* shard, std::coroutine_handle<>* slot) {
  if (*slot) shard->Post(std::exchange(*slot, nullptr));
}

FetchWindow::Time Now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

// A request takes at least this much credit, so that the number of outstanding ones is bounded too.
constexpr uint64_t kMinCredit = 4 << 10;

// Takes the answers to a request that another shard makes over to the shard that wants them.
class HomeSink final : public ReplySink {
 public:
  HomeSink(Executor* home, ReplySink* sink) : home_(home), sink_(sink) {}
  Task<absl::Status> OnItem(ReplyItem item, Piece piece) override {
    Executor* here = Executor::Current();
    co_await SwitchTo{home_};
    absl::Status taken = co_await sink_->OnItem(std::move(item), std::move(piece));
    co_await SwitchTo{here};
    co_return taken;
  }

 private:
  Executor* const home_;
  ReplySink* const sink_;
};

}  // namespace

// One request under way. Shared by the Fetch that waits and the connection that will answer.
struct RemoteContentSource::Pending {
  uint64_t begin = 0;
  uint64_t length =
      0;  // bytes set aside for the answer: of contents exactly its length, of a signature the most that it has
  bool contents = true;
  bool awaits_xattrs = false;
  uint64_t covered = 0;  // bytes of data and holes that arrived
  bool abandoned = false;
  std::vector<std::pair<ReplyItem, Piece>> items;  // of a small file mostly one
  size_t taken = 0;                                // of them

  bool has_items() const { return taken < items.size(); }
  std::pair<ReplyItem, Piece> TakeItem() {
    std::pair<ReplyItem, Piece> item = std::move(items[taken++]);
    if (taken == items.size()) {
      items.clear();
      taken = 0;
    }
    return item;
  }
  absl::Status broken;
  std::coroutine_handle<> waiter;
};

struct RemoteContentSource::Connection {
  std::unique_ptr<RequestChannel> channel;
  std::unordered_map<uint64_t, std::shared_ptr<Pending>> pending;
  std::deque<FileRequest> queue;
  std::deque<FileRequest> alone;  // of a message that could not be sent: one a message
  std::coroutine_handle<> sender;
  bool ending = false;  // SendLoop tells the peer of the orderly end once it has nothing else to send
  bool ended = false;   // it has
  absl::Status broken;
  uint64_t outstanding_bytes = 0;
  uint64_t reported_wire_bytes = 0;
};

void RemoteSourceGroup::Add(RemoteContentSource* source) {
  std::lock_guard lock(mutex_);
  sources_.push_back(source);
}

void RemoteSourceGroup::Remove(RemoteContentSource* source) {
  std::lock_guard lock(mutex_);
  std::erase(sources_, source);
}

RemoteContentSource* RemoteSourceGroup::AnyUsable() const {
  std::lock_guard lock(mutex_);
  return AnyUsableLocked();
}

RemoteContentSource* RemoteSourceGroup::AnyUsableLocked() const {
  for (RemoteContentSource* source : sources_)
    if (source->usable()) return source;
  return nullptr;
}

bool RemoteSourceGroup::ChangeAwaiter::await_suspend(std::coroutine_handle<> handle) {
  std::lock_guard lock(group->mutex_);
  if (group->AnyUsableLocked() != nullptr) return false;
  group->waiters_.emplace_back(source->shard_, handle);
  return true;
}

void RemoteSourceGroup::WakeAll() {
  std::lock_guard lock(mutex_);
  for (auto& [executor, handle] : waiters_) executor->Post(handle);
  waiters_.clear();
}

RemoteContentSource::RemoteContentSource(Executor* shard, std::shared_ptr<RemoteSourceGroup> group)
    : shard_(shard), group_(group != nullptr ? std::move(group) : std::make_shared<RemoteSourceGroup>()) {
  group_->Add(this);
}

RemoteContentSource::~RemoteContentSource() {
  group_->Remove(this);
  if (connections_.empty()) return;
  std::fputs("uringsync: a RemoteContentSource was destroyed with connections in use\n", stderr);
  std::abort();
}

Task<absl::Status> RemoteContentSource::Run(std::unique_ptr<RequestChannel> channel) {
  Connection connection;
  connection.channel = std::move(channel);
  if (is_closed_ || connections_.size() >= kMaxChannelsPerShard) {
    connection.channel->Close();
    co_return is_closed_ ? closed_ : absl::ResourceExhaustedError("too many data connections");
  }
  ++running_;
  connections_.push_back(&connection);
  live_channels_.fetch_add(1);
  if (on_usable_) on_usable_();
  group_->WakeAll();
  Scope scope;
  scope.Spawn(SendLoop(&connection));
  absl::Status end = co_await ReceiveLoop(&connection);
  Break(&connection, end);
  co_await scope.Join();
  live_wire_bytes_.fetch_sub(connection.reported_wire_bytes);
  finished_wire_bytes_.fetch_add(connection.channel->wire_bytes());
  if (--running_ == 0) {
    for (std::coroutine_handle<> waiter : drain_waiters_) shard_->Post(waiter);
    drain_waiters_.clear();
  }
  co_return is_closed_ ? absl::OkStatus() : end;
}

Task<void> RemoteContentSource::End() {
  // Told by each connection's own sender: Run joins it, so the channel outlives what is being written.
  for (Connection* connection : connections_) {
    connection->ending = true;
    Wake(shard_, &connection->sender);
  }
  const auto told = [](const Connection* connection) { return connection->ended; };
  while (!std::all_of(connections_.begin(), connections_.end(), told)) co_await SuspendIn{&end_waiter_};
  Close(absl::CancelledError("the session is over"));
}

Task<void> RemoteContentSource::Drained() {
  while (running_ > 0) co_await SuspendIn{&drain_waiters_.emplace_back()};
}

void RemoteContentSource::Break(Connection* connection, absl::Status reason) {
  if (!connection->broken.ok()) return;
  connection->broken = std::move(reason);
  connection->channel->Close();
  std::erase(connections_, connection);
  Wake(shard_, &end_waiter_);
  live_channels_.fetch_sub(1);
  for (auto& [id, pending] : connection->pending) {
    pending->broken = is_closed_
                          ? closed_
                          : MakeStatus(absl::StatusCode::kUnavailable,
                                       "data connection lost: " + std::string(ToStd(connection->broken.message())));
    Wake(shard_, &pending->waiter);
  }
  connection->pending.clear();
  Wake(shard_, &connection->sender);
}

void RemoteContentSource::Close(absl::Status reason) {
  if (is_closed_) return;
  is_closed_ = true;
  closed_ = std::move(reason);
  if (closed_.ok()) closed_ = absl::CancelledError("the session is over");
  std::vector<Connection*> open = connections_;
  for (Connection* connection : open) Break(connection, closed_);
  group_->WakeAll();
}

Task<void> RemoteContentSource::SendLoop(Connection* connection) {
  while (connection->broken.ok()) {
    if (connection->queue.empty() && connection->alone.empty()) {
      if (!connection->ending || connection->ended) {
        co_await SuspendIn{&connection->sender};
        continue;
      }
      absl::Status told = co_await connection->channel->End();
      connection->ended = true;
      Wake(shard_, &end_waiter_);
      if (!told.ok()) Break(connection, std::move(told));
      continue;
    }
    RequestMessage message;
    if (!connection->alone.empty()) {
      message.requests.push_back(std::move(connection->alone.front()));
      connection->alone.pop_front();
    } else {
      const size_t count = std::min(connection->queue.size(), kMaxRequestsPerMessage);
      for (size_t i = 0; i < count; ++i) {
        message.requests.push_back(std::move(connection->queue.front()));
        connection->queue.pop_front();
      }
    }
    // Kept until it is known whether the channel can say it at all.
    RequestMessage kept = message;
    absl::Status sent = co_await connection->channel->Send(std::move(message));
    if (absl::IsInvalidArgument(sent)) {
      RefuseUnsendable(connection, std::move(kept), sent);
    } else if (!sent.ok()) {
      Break(connection, std::move(sent));
    }
  }
}

// Nothing of `message` was sent, and the connection is as good as before. A request that was alone in it fails for
// good; several go again one by one.
void RemoteContentSource::RefuseUnsendable(Connection* connection, RequestMessage message, const absl::Status& reason) {
  if (message.requests.size() > 1) {
    for (FileRequest& request : message.requests) connection->alone.push_back(std::move(request));
    return;
  }
  auto found = connection->pending.find(message.requests.front().id);
  if (found == connection->pending.end()) return;
  std::shared_ptr<Pending> pending = found->second;
  connection->outstanding_bytes -= pending->length;
  connection->pending.erase(found);
  pending->broken = reason;
  Wake(shard_, &pending->waiter);
}

Task<absl::Status> RemoteContentSource::ReceiveLoop(Connection* connection) {
  while (connection->broken.ok()) {
    absl::StatusOr<ReplyMessage> message = co_await connection->channel->Receive();
    if (!connection->broken.ok()) break;
    if (!message.ok()) co_return message.status();
    uint64_t wire = connection->channel->wire_bytes();
    live_wire_bytes_.fetch_add(wire - std::exchange(connection->reported_wire_bytes, wire));
    absl::Status delivered = Deliver(connection, std::make_shared<ReplyMessage>(*std::move(message)));
    if (!delivered.ok()) co_return delivered;
    ++replies_;
  }
  co_return connection->broken;
}

absl::Status RemoteContentSource::Deliver(Connection* connection, std::shared_ptr<ReplyMessage> message) {
  size_t offset = 0;
  for (ReplyItem& item : message->items) {
    if (item.data_length > message->payload.size() - offset)
      return absl::InvalidArgumentError("a reply's items are longer than its payload");
    auto found = connection->pending.find(item.id);
    if (found == connection->pending.end()) return absl::InvalidArgumentError("a reply to a request that was not made");
    std::shared_ptr<Pending> pending = found->second;
    uint64_t bytes = uint64_t{item.data_length} + item.hole_length;
    // A signature is one item at the request's offset, of at most what was set aside for it.
    const uint64_t place = pending->contents ? pending->begin + pending->covered : pending->begin;
    if (item.hole_length > pending->length || bytes > pending->length - pending->covered ||
        (bytes > 0 && item.offset != place) || (bytes > 0 && !pending->contents && (item.hole_length > 0 || !item.end)))
      return absl::InvalidArgumentError("a reply outside the range that was asked for");
    // Attributes are set with the rights of this side, and what never comes to anything would never end.
    if (item.xattrs.has_value() && !std::exchange(pending->awaits_xattrs, false))
      return absl::InvalidArgumentError("a reply with attributes that were not asked for");
    if (bytes == 0 && !item.end && !item.xattrs.has_value())
      return absl::InvalidArgumentError("a reply with nothing in it");
    pending->covered += bytes;
    if (item.end) {
      if (item.status == ReplyStatus::kOk && pending->contents && pending->covered != pending->length)
        return absl::InvalidArgumentError("a reply that ends before its range does");
      connection->outstanding_bytes -= pending->length;
      connection->pending.erase(found);
    }
    size_t length = item.data_length;
    if (!pending->abandoned) {
      pending->items.emplace_back(std::move(item), Piece::InMessage(message, offset, length));
      Wake(shard_, &pending->waiter);
    }
    offset += length;
  }
  return absl::OkStatus();
}

Task<absl::Status> RemoteContentSource::WaitUsable() {
  while (!is_closed_ && group_->AnyUsable() == nullptr) co_await group_->Changed(this);
  co_return closed_;
}

// The connection with the least to do.
RemoteContentSource::Connection* RemoteContentSource::Pick() {
  auto least = std::min_element(connections_.begin(), connections_.end(), [](const Connection* a, const Connection* b) {
    return a->outstanding_bytes < b->outstanding_bytes;
  });
  return least == connections_.end() ? nullptr : *least;
}

Task<absl::Status> RemoteContentSource::Fetch(FileRequest request, ReplySink* sink) {
  SemaphoreUnits credit = co_await credit_.Acquire(std::max(AnswerBytes(request), kMinCredit));
  FetchWindow::Time latency{0};
  while (true) {
    US_CO_RETURN_IF_ERROR(co_await WaitUsable());
    RemoteContentSource* source = usable() ? this : group_->AnyUsable();
    if (source == nullptr) continue;
    std::optional<absl::Status> fetched;
    if (source == this) {
      fetched = co_await FetchHere(request, sink, &latency);
    } else {
      fetched = co_await FetchThrough(source, request, sink, &latency);
    }
    if (!fetched.has_value()) continue;
    if (fetched->ok()) {
      window_.OnAnswered(latency, AnswerBytes(request), Now());
      credit_held_.Allow(window_.bytes());
    }
    co_return *std::move(fetched);
  }
}

Task<std::optional<absl::Status>> RemoteContentSource::FetchThrough(RemoteContentSource* peer, FileRequest request,
                                                                    ReplySink* sink, FetchWindow::Time* latency) {
  HomeSink home(shard_, sink);
  co_await SwitchTo{peer->shard_};
  std::optional<absl::Status> fetched = co_await peer->FetchHere(std::move(request), &home, latency);
  co_await SwitchTo{shard_};
  co_return fetched;
}

Task<std::optional<absl::Status>> RemoteContentSource::FetchHere(FileRequest request, ReplySink* sink,
                                                                 FetchWindow::Time* latency) {
  Connection* connection = Pick();
  if (connection == nullptr) co_return std::nullopt;
  auto pending = std::make_shared<Pending>();
  pending->begin = request.offset;
  pending->contents = request.kind == RequestKind::kContents;
  pending->length = AnswerBytes(request);
  pending->awaits_xattrs = request.want_xattrs;
  request.id = next_id_++;
  connection->outstanding_bytes += pending->length;
  connection->pending.emplace(request.id, pending);
  connection->queue.push_back(std::move(request));
  Wake(shard_, &connection->sender);
  const FetchWindow::Time asked = Now();
  *latency = FetchWindow::Time(0);
  while (true) {
    while (!pending->has_items() && pending->broken.ok()) co_await SuspendIn{&pending->waiter};
    // What arrived before the break is dropped with it: the caller asks again from the start.
    if (!pending->broken.ok()) co_return pending->broken;
    if (latency->count() == 0) *latency = Now() - asked;
    std::pair<ReplyItem, Piece> next = pending->TakeItem();
    bool end = next.first.end;
    absl::Status taken = co_await sink->OnItem(std::move(next.first), std::move(next.second));
    if (!taken.ok()) {
      pending->abandoned = true;
      pending->items.clear();
      pending->taken = 0;
      co_return taken;
    }
    if (end) co_return absl::OkStatus();
  }
}

uint64_t RemoteContentSource::wire_bytes() const {
  return finished_wire_bytes_.load() + live_wire_bytes_.load();
}

}  // namespace uringsync
