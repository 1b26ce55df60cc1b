#include "tests/support/relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <deque>

namespace uringsync {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxQueuedBytes = size_t{4} << 20;  // each way
constexpr size_t kChunkBytes = size_t{64} << 10;
// How soon Reset, Swallow and the end are noticed.
constexpr int kTickMs = 5;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void CloseWithReset(UniqueFd* fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd->get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  fd->Reset();
}

// One direction of one connection.
class Way {
 public:
  Way(int from, int to, const RelayOptions& options, uint64_t corrupt_at)
      : from_(from), to_(to), options_(options), corrupt_at_(corrupt_at) {}

  bool wants_input() const { return !ended_ && queued_ < kMaxQueuedBytes; }
  bool finished() const { return ended_ && queue_.empty() && shut_; }
  int from() const { return from_; }

  // False when the connection broke.
  bool ReadSome() {
    std::array<char, kChunkBytes> chunk;
    const ssize_t n = ::recv(from_, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
      ended_ = true;
      return true;
    }
    const uint64_t begin = seen_;
    seen_ += static_cast<uint64_t>(n);
    if (corrupt_at_ != 0 && corrupt_at_ >= begin && corrupt_at_ < seen_) chunk[corrupt_at_ - begin] ^= 1;
    queued_ += static_cast<size_t>(n);
    queue_.push_back({Clock::now() + options_.delay, std::vector<char>(chunk.data(), chunk.data() + n), 0});
    return true;
  }

  // Sends what is due; adds what was sent to `*forwarded`. False when the connection broke.
  bool WriteSome(uint64_t* forwarded) {
    while (!queue_.empty() && queue_.front().due <= Clock::now() && free_at_ <= Clock::now()) {
      Piece& piece = queue_.front();
      const ssize_t n =
          ::send(to_, piece.bytes.data() + piece.sent, piece.bytes.size() - piece.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      piece.sent += static_cast<size_t>(n);
      queued_ -= static_cast<size_t>(n);
      *forwarded += static_cast<uint64_t>(n);
      if (options_.bytes_per_second > 0) {
        const double seconds = static_cast<double>(n) / static_cast<double>(options_.bytes_per_second);
        free_at_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
      }
      if (piece.sent == piece.bytes.size()) queue_.pop_front();
    }
    if (ended_ && queue_.empty() && !shut_) {
      ::shutdown(to_, SHUT_WR);
      shut_ = true;
    }
    return true;
  }

 private:
  struct Piece {
    Clock::time_point due;
    std::vector<char> bytes;
    size_t sent;
  };
  const int from_;
  const int to_;
  const RelayOptions options_;
  const uint64_t corrupt_at_;
  std::deque<Piece> queue_;
  size_t queued_ = 0;
  uint64_t seen_ = 0;
  bool ended_ = false;
  bool shut_ = false;
  Clock::time_point free_at_{};
};

}  // namespace

TcpRelay::TcpRelay(uint16_t target_port, RelayOptions options) : target_port_(target_port), options_(options) {
  listener_.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof(address);
  if (!listener_.valid() || ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener_.get(), 64) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    Die("relay: listen");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { AcceptLoop(); });
}

TcpRelay::~TcpRelay() {
  stopping_ = true;
  acceptor_.join();
  for (std::thread& server : servers_) server.join();
}

void TcpRelay::AcceptLoop() {
  while (!stopping_) {
    pollfd wait{.fd = listener_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, kTickMs) <= 0) continue;
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) continue;
    ++connections_;
    servers_.emplace_back([this, fd = client.Release()] { Serve(UniqueFd(fd)); });
  }
}

void TcpRelay::Serve(UniqueFd client) {
  const uint64_t generation = reset_generation_;
  UniqueFd target(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(target_port_);
  if (::connect(target.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    CloseWithReset(&client);
    return;
  }
  const int on = 1;
  ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(target.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  Way forth(client.get(), target.get(), options_, 0);
  Way back(target.get(), client.get(), options_, options_.corrupt_reply_byte);
  uint64_t own_bytes = 0;
  bool good = true;
  while (good && !stopping_ && reset_generation_ == generation && !(forth.finished() && back.finished())) {
    const bool swallowed = swallow_ || (options_.swallow_after_bytes > 0 && own_bytes >= options_.swallow_after_bytes);
    std::array<pollfd, 2> waits{};
    waits[0] = {.fd = !swallowed && forth.wants_input() ? forth.from() : -1, .events = POLLIN, .revents = 0};
    waits[1] = {.fd = !swallowed && back.wants_input() ? back.from() : -1, .events = POLLIN, .revents = 0};
    // A millisecond while something is queued: it may become due, or the receiver ready.
    ::poll(waits.data(), waits.size(), 1);
    if (swallowed) continue;
    if (waits[0].revents != 0) good = forth.ReadSome();
    if (good && waits[1].revents != 0) good = back.ReadSome();
    const uint64_t before = own_bytes;
    good = good && forth.WriteSome(&own_bytes) && back.WriteSome(&own_bytes);
    forwarded_ += own_bytes - before;
    if (options_.reset_after_bytes > 0 && own_bytes >= options_.reset_after_bytes) good = false;
  }
  if (forth.finished() && back.finished()) return;
  CloseWithReset(&client);
  CloseWithReset(&target);
}

}  // namespace uringsync
