#include "tests/sim/network.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace uringsync::sim {
namespace {

constexpr uint64_t kWindowBytes = 256 << 10;
// When a peer that is gone without a word counts as gone: keepalives and TCP_USER_TIMEOUT of the streams.
constexpr Nanos kGiveUp = 25 * kSecond;

}  // namespace

Weather::Weather(Scheduler* scheduler) : scheduler_(scheduler) {
  SeededRandom& random = scheduler->random();
  latency_ = random.Of(std::vector<Nanos>{20 * kMicrosecond, 300 * kMicrosecond, 5 * kMillisecond, 60 * kMillisecond});
  jitter_ = random.Of(std::vector<Nanos>{0, 100 * kMicrosecond, 10 * kMillisecond});
}

Nanos Weather::parted_until(HostId a, HostId b) const {
  const auto found = parted_.find(Key(a, b));
  return found == parted_.end() ? 0 : found->second;
}

Nanos Weather::Delay(HostId from, HostId to) {
  const auto drawn = static_cast<Nanos>(scheduler_->random().Below(static_cast<uint64_t>(jitter_ + 1)));
  const Nanos delay = from == to ? 5 * kMicrosecond : latency_ + drawn;
  const Nanos parted = from == to ? 0 : parted_until(from, to);
  return parted > scheduler_->now() ? parted - scheduler_->now() + delay : delay;
}

void Socket::Happened() {
  std::vector<SocketWaiter> now;
  now.swap(waiters);
  for (SocketWaiter& waiter : now) waiter();
}

// In the order in which this end sent.
void Network::Later(const SocketPtr& from, std::function<void()> event) {
  const Nanos at = std::max(from->last_arrival, scheduler_->now() + weather_->Delay(from->host, from->peer_host));
  from->last_arrival = at;
  scheduler_->At(at, std::move(event));
}

int Network::Listen(const SocketPtr& socket, uint16_t port) {
  if (port == 0) port = next_port_++;
  std::weak_ptr<Socket>& place = listeners_[{socket->host, port}];
  if (!place.expired()) return -EADDRINUSE;
  place = socket;
  socket->port = port;
  socket->listening = true;
  sockets_.push_back(socket);
  return 0;
}

void Network::Connect(const SocketPtr& socket, HostId host, uint16_t port, std::function<void(int)> done) {
  socket->port = next_port_++;
  socket->peer_host = host;
  socket->peer_port = port;
  Later(socket, [this, socket, host, port, done = std::move(done)] {
    if (socket->shut_write) return;  // given up meanwhile
    const auto found = listeners_.find({host, port});
    const SocketPtr listener = found == listeners_.end() ? nullptr : found->second.lock();
    if (listener == nullptr || !listener->listening) return done(-ECONNREFUSED);
    auto accepted = std::make_shared<Socket>();
    accepted->host = host;
    accepted->process = listener->process;
    accepted->port = port;
    accepted->peer_host = socket->host;
    accepted->peer_port = socket->port;
    accepted->connected = socket->connected = true;
    accepted->peer = socket;
    socket->peer = accepted;
    Prune();
    sockets_.push_back(accepted);
    sockets_.push_back(socket);
    listener->backlog.push_back(accepted);
    listener->Happened();
    scheduler_->After(weather_->Delay(host, socket->host), [done] { done(0); });
  });
}

int64_t Network::Send(const SocketPtr& socket, const void* bytes, uint64_t count) {
  if (socket->error != 0) return -socket->error;
  if (!socket->connected || socket->shut_write) return -EPIPE;
  const SocketPtr peer = socket->peer.lock();
  if (peer == nullptr) return -EPIPE;
  const uint64_t waiting = socket->under_way + peer->arrived.size();
  if (waiting >= kWindowBytes) return -EAGAIN;
  count = std::min(count, kWindowBytes - waiting);
  std::string piece(static_cast<const char*>(bytes), count);
  socket->under_way += count;
  Later(socket, [socket, peer, piece = std::move(piece)] {
    socket->under_way -= piece.size();
    if (peer->error == 0 && !peer->shut_read) peer->arrived += piece;
    peer->Happened();
  });
  return static_cast<int64_t>(count);
}

int64_t Network::Receive(const SocketPtr& socket, void* buffer, uint64_t count) {
  if (!socket->arrived.empty()) {
    uint64_t taken = std::min<uint64_t>(count, socket->arrived.size());
    // As the network has cut it up.
    if (scheduler_->random().Chance(200)) taken = 1 + scheduler_->random().Below(taken);
    std::memcpy(buffer, socket->arrived.data(), taken);
    socket->arrived.erase(0, taken);
    if (const SocketPtr peer = socket->peer.lock()) peer->Happened();
    return static_cast<int64_t>(taken);
  }
  if (socket->error != 0) return -socket->error;
  if (socket->no_more || socket->shut_read) return 0;
  return socket->connected ? -EAGAIN : -ENOTCONN;
}

void Network::Shutdown(const SocketPtr& socket, bool read, bool write) {
  if (socket->listening) {
    socket->listening = false;
    socket->Happened();
    return;
  }
  if (read) socket->shut_read = true;
  if (write && !socket->shut_write) {
    socket->shut_write = true;
    if (const SocketPtr peer = socket->peer.lock()) {
      Later(socket, [peer] {
        peer->no_more = true;
        peer->Happened();
      });
    }
  }
  socket->Happened();
}

void Network::Close(const SocketPtr& socket) {
  if (socket->listening) {
    socket->listening = false;
    listeners_.erase({socket->host, socket->port});
    return;
  }
  const bool unread = !socket->arrived.empty();
  const SocketPtr peer = socket->peer.lock();
  if (unread && peer != nullptr) {
    Later(socket, [peer] { Break(peer, ECONNRESET); });
    return;
  }
  Shutdown(socket, true, true);
}

void Network::Break(const SocketPtr& socket, int error) {
  if (socket->error == 0) socket->error = error;
  socket->Happened();
}

void Network::Prune() {
  std::erase_if(sockets_, [](const std::weak_ptr<Socket>& socket) { return socket.expired(); });
}

void Network::Cut(HostId a, HostId b) {
  for (const std::weak_ptr<Socket>& weak : std::vector(sockets_)) {
    const SocketPtr socket = weak.lock();
    if (socket == nullptr || !socket->connected) continue;
    const bool between = (socket->host == a && socket->peer_host == b) || (socket->host == b && socket->peer_host == a);
    if (between) Break(socket, ECONNRESET);
  }
}

void Network::ProcessDied(ProcessId process, bool silent) {
  for (const std::weak_ptr<Socket>& weak : std::vector(sockets_)) {
    const SocketPtr socket = weak.lock();
    if (socket == nullptr || socket->process != process) continue;
    if (socket->listening) {
      socket->listening = false;
      listeners_.erase({socket->host, socket->port});
      for (const SocketPtr& waiting : socket->backlog) {
        if (const SocketPtr peer = waiting->peer.lock()) Break(peer, ECONNRESET);
      }
      continue;
    }
    const SocketPtr peer = socket->peer.lock();
    if (peer == nullptr) continue;
    scheduler_->After(silent ? kGiveUp : weather_->Delay(socket->host, socket->peer_host),
                      [peer, silent] { Break(peer, silent ? ETIMEDOUT : ECONNRESET); });
  }
}

size_t Network::connections() const {
  return static_cast<size_t>(std::count_if(sockets_.begin(), sockets_.end(), [](const std::weak_ptr<Socket>& weak) {
    const SocketPtr socket = weak.lock();
    return socket != nullptr && socket->connected && socket->error == 0;
  }));
}

}  // namespace uringsync::sim
