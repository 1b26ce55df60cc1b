#include "agent/data_server.h"

#include <list>
#include <mutex>
#include <utility>

#include "agent/refusal_log.h"
#include "agent/session_table.h"
#include "engine/base/errno_status.h"
#include "engine/coro/cancel.h"
#include "engine/coro/scope.h"
#include "engine/net/listener.h"
#include "engine/net/tcp_stream.h"
#include "engine/net/tls_identity.h"
#include "engine/ring/runtime.h"
#include "proto/data_stream.h"

namespace uringsync {

namespace {

// The connections in their handshake, oldest first. Any thread.
class Handshakes {
 public:
  using Place = std::list<CancelSource>::iterator;
  explicit Handshakes(size_t limit) : limit_(limit) {}

  Place Enter() {
    std::lock_guard lock(mutex_);
    if (stopping_ || running_.size() >= limit_) EndOldest();
    Place place = running_.emplace(running_.end());
    if (stopping_) place->Cancel(absl::CancelledError("the agent is stopping"));
    return place;
  }
  void Leave(Place place) {
    std::lock_guard lock(mutex_);
    running_.erase(place);
  }
  void Stop() {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (CancelSource& handshake : running_) handshake.Cancel(absl::CancelledError("the agent is stopping"));
  }

 private:
  // Those that were told to end already leave the list soon.
  void EndOldest() {
    for (CancelSource& handshake : running_) {
      if (handshake.token().cancelled()) continue;
      handshake.Cancel(absl::ResourceExhaustedError("too many connections that say nothing"));
      return;
    }
  }

  const size_t limit_;
  std::mutex mutex_;
  std::list<CancelSource> running_;
  bool stopping_ = false;
};

absl::Status Admit(SessionTable* table, const DataHello& hello, const PeerIdentity* peer) {
  // Whoever connects says which end it is; the session here is the other end.
  if (hello.role == Role::kDestination) return table->FindSource(hello.session, hello.token, peer).status();
  return table->FindDestination(hello.session, hello.token, peer).status();
}

Task<absl::StatusOr<AcceptedData>> AcceptFor(std::unique_ptr<Stream> stream, std::shared_ptr<const TlsContext> tls,
                                             SessionTable* table, DataTimeouts timeouts, CancelToken cancel) {
  return AcceptDataConnection(
      std::move(stream), std::move(tls),
      [table](const DataHello& hello, const PeerIdentity* peer) { return Admit(table, hello, peer); }, timeouts,
      std::move(cancel));
}

Task<void> HandOver(AcceptedData data, SessionTable* table) {
  if (data.reply_channel != nullptr) {
    absl::StatusOr<std::shared_ptr<LiveSource>> source = table->FindSource(data.hello.session, data.hello.token);
    if (source.ok()) static_cast<void>(co_await (*source)->Serve(std::move(data.reply_channel)));
  } else {
    absl::StatusOr<std::shared_ptr<LiveDestination>> destination =
        table->FindDestination(data.hello.session, data.hello.token);
    if (destination.ok()) static_cast<void>(co_await (*destination)->Use(std::move(data.request_channel)));
  }
}

}  // namespace

// Whom a connection does not concern is told nothing more than the handshake did.
Task<void> ServeDataStream(std::unique_ptr<Stream> stream, SessionTable* table) {
  DataTimeouts timeouts;
  timeouts.handshake = DataServer::kHandshakeLimit;
  absl::StatusOr<AcceptedData> data = co_await AcceptFor(std::move(stream), nullptr, table, timeouts, {});
  if (data.ok()) co_await HandOver(*std::move(data), table);
}

struct DataServer::State {
  explicit State(DataServerOptions data_options)
      : options(std::move(data_options)), handshakes(options.max_handshakes) {}

  const DataServerOptions options;
  Handshakes handshakes;
  RefusalLog refusals;
  std::unique_ptr<Listener> listener;
  Scope running;
  absl::Status started;
  bool stopped = false;

  Task<void> Listen();
  Task<void> Serve();
  Task<void> Handle(AcceptedSocket socket);
  Task<void> CloseListener();
  void TellRefusal(const absl::Status& why);
};

Task<void> DataServer::State::Handle(AcceptedSocket socket) {
  std::unique_ptr<Stream> stream = TcpStream::Adopt(Shard::Current()->driver(), std::move(socket));
  DataTimeouts timeouts;
  timeouts.handshake = kHandshakeLimit;
  timeouts.idle = kAnswerIdle;
  const Handshakes::Place place = handshakes.Enter();
  absl::StatusOr<AcceptedData> data =
      co_await AcceptFor(std::move(stream), options.tls ? options.tls->current() : nullptr, options.table, timeouts, place->token());
  handshakes.Leave(place);
  if (data.ok()) {
    co_await HandOver(*std::move(data), options.table);
  } else {
    TellRefusal(data.status());
  }
}

void DataServer::State::TellRefusal(const absl::Status& why) {
  // A connection that merely broke, or was ended here in good order, was not refused.
  if (absl::IsUnavailable(why) || absl::IsCancelled(why)) return;
  refusals.Tell("data connection refused", {{"reason", std::string(ToStd(why.message()))}});
}

Task<void> DataServer::State::Listen() {
  ListenOptions listen;
  listen.host = options.host;
  listen.port = options.port;
  listen.option = options.option;
  absl::StatusOr<std::unique_ptr<Listener>> opened = co_await Listener::Listen(Shard::Current()->driver(), listen);
  started = opened.status();
  if (opened.ok()) listener = *std::move(opened);
}

Task<void> DataServer::State::Serve() {
  State* self = this;
  // It ends when the listener is closed; a listener that broke for good leaves the control plane to say so.
  static_cast<void>(co_await ServeConnections(
      listener.get(), options.runtime, [self](AcceptedSocket socket) { return self->Handle(std::move(socket)); },
      kMaxConnections));
}

Task<void> DataServer::State::CloseListener() {
  listener->Close();
  handshakes.Stop();
  co_await running.Join();
  listener.reset();
}

DataServer::DataServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<DataServer>> DataServer::Start(DataServerOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  Shard* home = &state->options.runtime->shard(0);
  BlockOn(home, state->Listen());
  if (!state->started.ok()) return state->started;
  state->running.SpawnOn(home, state->Serve());
  return std::unique_ptr<DataServer>(new DataServer(std::move(state)));
}

DataServer::~DataServer() {
  Stop();
}

uint16_t DataServer::port() const {
  return state_->listener->port();
}

void DataServer::Stop() {
  if (state_->stopped) return;
  state_->stopped = true;
  BlockOn(&state_->options.runtime->shard(0), state_->CloseListener());
}

}  // namespace uringsync
