// Where a destination session gets contents from: a session of this very agent, connections that it makes, or
// connections that it waits for.
#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

#include "agent/backoff.h"
#include "agent/destination_session.h"
#include "agent/timed_dial.h"
#include "engine/base/errno_status.h"
#include "engine/ring/runtime.h"
#include "proto/data_stream.h"

namespace uringsync {
namespace {

constexpr size_t kConnectionsPerShard = 2;
constexpr size_t kMaxConnections = 64;
// What no true peer sends ends a connection: bits that flipped on the way, or a lie. So often, and it is not dialled again.
constexpr int kMostDamaged = 4;
// Without any data connection for so long, the user hears of it; so often in a session.
constexpr std::chrono::milliseconds kWorthTelling{1000};
constexpr int kMostLossesTold = 16;
// A coordinator that answers later than this is far away.
constexpr std::chrono::milliseconds kFarAway{4};

// What no further try changes. Once a connection was there, what looks like a wrong name or certificate is what a bad
// network makes of them.
bool IsPermanent(const absl::Status& dialled, bool ever_connected) {
  if (absl::IsPermissionDenied(dialled) || absl::IsFailedPrecondition(dialled)) return true;
  return !ever_connected &&
         (absl::IsUnauthenticated(dialled) || absl::IsInvalidArgument(dialled) || absl::IsNotFound(dialled));
}

}  // namespace

absl::Status DestinationSession::AwaitSource() {
  if (context_.data_port == 0 && !context_.open_peer)
    return absl::FailedPreconditionError("this agent has no data port to accept connections on");
  MakeRemoteSources();
  US_RETURN_IF_ERROR(context_.table->AddDestination(open_.session, shared_from_this()));
  registered_ = true;
  return absl::OkStatus();
}

void DestinationSession::MakeRemoteSources() {
  // A shard without a connection fetches over those of the others: connections land on shards as they come, also on
  // shards that do nothing else for the session.
  auto group = std::make_shared<RemoteSourceGroup>();
  for (size_t i = 0; i < context_.runtime->size(); ++i) {
    auto remote = std::make_unique<RemoteContentSource>(&context_.runtime->shard(i), group);
    remote_.push_back(remote.get());
    sources_.push_back(std::move(remote));
  }
}

absl::Status DestinationSession::UseLocalSource() {
  US_ASSIGN_OR_RETURN(local_source_, context_.table->FindSource(open_.route.peer_session, open_.token));
  for (size_t i = 0; i < SessionShards(open_, context_.runtime->size()); ++i) {
    US_ASSIGN_OR_RETURN(std::unique_ptr<SourceReader> reader, local_source_->MakeReader(&context_.runtime->shard(i)));
    sources_.push_back(std::make_unique<LocalContentSource>(std::move(reader)));
  }
  return absl::OkStatus();
}

void DestinationSession::ExpectActions() {
  const bool far = std::chrono::steady_clock::now() - told_opened_ > kFarAway;
  if (writes_ && far && open_.route.kind == DataRoute::Kind::kConnect) DialSource();
}

void DestinationSession::DialSource() {
  if (!remote_.empty()) return;
  MakeRemoteSources();
  dials_.emplace(context_, ConnectData{open_.route.host, open_.route.port, open_.route.direct},
                 [this](std::string text) { outbox_->Push(Notice{std::move(text)}); });
  // Every shard needs a connection of its own; one that cannot have one fetches over another's.
  const size_t shards = dials_->Shards(SessionShards(open_, context_.runtime->size()));
  size_t wanted = open_.data_connections > 0 ? open_.data_connections : shards * kConnectionsPerShard;
  size_t per_shard = std::max<size_t>(std::min(wanted, kMaxConnections) / shards, 1);
  for (size_t i = 0; i < shards; ++i) {
    dialers_[i] = static_cast<int>(per_shard);
    for (size_t n = 0; n < per_shard; ++n) running_.SpawnOn(&context_.runtime->shard(i), DialLoop(i));
  }
}

Task<void> DestinationSession::DialLoop(size_t shard) {
  Driver* driver = Shard::Current()->driver();
  CancelToken cancel = cancel_.token();
  Backoff backoff;
  absl::Status last = absl::UnavailableError("no connection");
  DialPatience patience(open_.ride_out);
  for (int damaged = 0; damaged < kMostDamaged && !cancel.cancelled();) {
    DataDial dial;
    if (!dials_->Fill(shard, &dial)) {
      dialers_[shard].fetch_sub(1);
      co_return;
    }
    dial.cancel = cancel;
    if (open_.ride_out.count() > 0) dial.timeouts.idle = kAnswerIdle;
    dial.hello = DataHello{kProtocolVersion, open_.session, open_.token, Role::kDestination};
    if (open_.route.peer_session != SessionId{}) dial.hello.session = open_.route.peer_session;
    absl::StatusOr<std::unique_ptr<RequestChannel>> channel =
        co_await DialWithin(driver, dial, dials_->limit(dial), DialRequestChannel);
    last = channel.status();
    if (!channel.ok() && !cancel.cancelled() && dials_->Retreat(dial, last)) continue;
    if (channel.ok()) {
      ever_connected_ = true;
      const auto begun = std::chrono::steady_clock::now();
      const uint64_t replies = remote_[shard]->replies();
      last = co_await remote_[shard]->Run(*std::move(channel));
      if (absl::IsInvalidArgument(last)) ++damaged;
      const auto now = std::chrono::steady_clock::now();
      // One that is lost at once, again and again, is no reason to hurry, and one that answers nothing is as good as none.
      const bool lasted = now - begun > Backoff::kLongest;
      if (lasted) backoff.Reset();
      if (lasted || remote_[shard]->replies() != replies) {
        patience.Lost(now);
      } else if (!patience.TryAgain(ever_connected_, now)) {
        break;
      }
    } else if (IsPermanent(last, ever_connected_) ||
               !patience.TryAgain(ever_connected_, std::chrono::steady_clock::now())) {
      break;
    }
    if (cancel.cancelled()) break;
    bool go_on = co_await backoff.Wait(driver, cancel);
    if (!go_on) break;
  }
  if (dialers_[shard].fetch_sub(1) != 1 || cancel.cancelled()) co_return;
  // The last one of this shard gave up: the others carry on, if there are any.
  std::string text = "data connection to " + open_.route.host + ": " + std::string(ToStd(last.message()));
  remote_[shard]->Close(MakeStatus(absl::StatusCode::kUnavailable, text));
  bool any =
      std::any_of(dialers_.begin(), dialers_.end(), [](const std::atomic<int>& live) { return live.load() > 0; });
  const ErrorKind kind = absl::IsDeadlineExceeded(last) ? ErrorKind::kTimeout : ErrorKind::kProtocol;
  if (!any) LoseSource(kind, "destination: " + text);
}

void DestinationSession::LoseSource(ErrorKind kind, std::string text) {
  std::lock_guard lock(lost_mutex_);
  if (source_needed_) {
    outbox_->Fail(kind, std::move(text));
  } else {
    lost_ = SessionError{kind, std::move(text)};
  }
}

absl::Status DestinationSession::NeedSource() {
  std::lock_guard lock(lost_mutex_);
  source_needed_ = true;
  if (!lost_) return absl::OkStatus();
  outbox_->Fail(lost_->kind, lost_->message);
  return absl::UnavailableError("the source cannot be reached");
}

Task<absl::Status> DestinationSession::Use(std::unique_ptr<RequestChannel> channel) {
  RemoteContentSource* remote = remote_[Shard::Current()->index()];
  co_return co_await remote->Run(std::move(channel));
}

void DestinationSession::WatchConnections() {
  if (remote_.empty()) return;
  auto now = std::chrono::steady_clock::now();
  bool connected =
      std::any_of(remote_.begin(), remote_.end(), [](const RemoteContentSource* remote) { return remote->usable(); });
  if (connected || last_connected_ == std::chrono::steady_clock::time_point{}) last_connected_ = now;
  TellOfConnections(connected, now);
  const auto limit = std::max<std::chrono::milliseconds>(kNoConnectionLimit, open_.ride_out);
  if (open_.route.kind != DataRoute::Kind::kAccept || now - last_connected_ < limit) return;
  last_connected_ = now;
  // Called by the outbox itself: the failure is queued by another coroutine.
  running_.SpawnOn(&context_.runtime->shard(0), FailForLackOfConnections());
}

Task<void> DestinationSession::FailForLackOfConnections() {
  const auto limit = std::max<std::chrono::seconds>(
      kNoConnectionLimit, std::chrono::duration_cast<std::chrono::seconds>(open_.ride_out));
  outbox_->Fail(ErrorKind::kTimeout,
                "destination: the source opened no data connection for " + std::to_string(limit.count()) + " seconds");
  co_return;
}

// The first time that all of them are gone for a moment, and that some are there again.
void DestinationSession::TellOfConnections(bool connected, std::chrono::steady_clock::time_point now) {
  was_connected_ = was_connected_ || connected;
  if (!was_connected_ || open_.ride_out.count() == 0) return;
  const bool lost = !connected && now - last_connected_ >= kWorthTelling;
  if (lost == told_lost_ || (!connected && !lost) || losses_told_ >= kMostLossesTold) return;
  told_lost_ = lost;
  if (!lost) ++losses_told_;
  running_.SpawnOn(&context_.runtime->shard(0),
                   Tell(lost ? "the data connections to the source are lost; trying again for " +
                                   std::to_string(open_.ride_out.count() / 1000) + " s"
                             : std::string("data connections to the source are there again")));
}

Task<void> DestinationSession::Tell(std::string notice) {
  outbox_->Push(Notice{std::move(notice)});
  co_return;
}

Task<void> DestinationSession::CloseSource(RemoteContentSource* source, absl::Status reason) {
  source->Close(std::move(reason));
  co_return;
}

}  // namespace uringsync
