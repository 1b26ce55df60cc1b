#include "tests/support/delay_relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <thread>

#include "engine/base/errno_status.h"
#include "engine/base/unique_fd.h"

namespace uringsync {
namespace {

using Time = DelayLink::Time;

constexpr size_t kChunkBytes = size_t{64} << 10;
constexpr uint64_t kFirstWindow = 14480;  // ten segments, RFC 6928
constexpr Time kForever = std::chrono::hours(24);
// The kernel may delay a wait by this much.
constexpr unsigned long kSlackNs = 1000;

Time Now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

absl::StatusOr<sockaddr_in> ParseAddress(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  const size_t colon = text.rfind(':');
  if (colon != std::string::npos && ::inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) == 1) {
    address.sin_port = htons(static_cast<uint16_t>(std::strtoul(text.c_str() + colon + 1, nullptr, 10)));
    return address;
  }
  return absl::InvalidArgumentError("no address with a port: " + text);
}

// One direction of one connection.
class Flow {
 public:
  Flow(int from, int to, DelayLink* link, const DelayOptions& options, Time open_at, std::atomic<uint64_t>* count)
      : from_(from),
        to_(to),
        link_(link),
        options_(options),
        open_at_(open_at),
        window_(options.slow_start ? kFirstWindow : options.window_bytes),
        count_(count) {}

  int from() const { return from_; }
  int to() const { return to_; }
  bool finished() const { return shut_; }
  bool wants_input(Time now) const { return !ended_ && now >= open_at_ && !link_->Full(now) && Room() > 0; }
  bool wants_output(Time now) const { return blocked_ && !chunks_.empty() && chunks_.front().due <= now; }

  // When something may change by itself: what comes out next, or room in the window or in front of the link.
  Time NextEvent(Time now) const {
    Time next = kForever;
    if (!chunks_.empty() && !blocked_) next = std::min(next, chunks_.front().due - now);
    if (!acks_.empty()) next = std::min(next, acks_.front().first - now);
    if (!ended_ && now < open_at_) next = std::min(next, open_at_ - now);
    if (!ended_ && link_->Full(now)) next = std::min(next, link_->Backlog(now) - options_.queue);
    return std::max(next, Time(0));
  }

  // False when the connection broke.
  bool ReadSome(Time now) {
    std::vector<char> bytes(std::min<uint64_t>(kChunkBytes, Room()));
    const ssize_t n = ::recv(from_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    ended_ = n == 0;
    bytes.resize(static_cast<size_t>(n));
    const auto length = static_cast<uint64_t>(n);
    under_way_ += length;
    const Time due = link_->Enter(length, now);
    chunks_.push_back({due, std::move(bytes), 0});
    return true;
  }

  bool WriteSome(Time now) {
    blocked_ = false;
    while (!chunks_.empty() && chunks_.front().due <= now) {
      Chunk& chunk = chunks_.front();
      if (chunk.bytes.empty()) {  // the end
        ::shutdown(to_, SHUT_WR);
        shut_ = true;
        chunks_.pop_front();
        continue;
      }
      const ssize_t n =
          ::send(to_, chunk.bytes.data() + chunk.sent, chunk.bytes.size() - chunk.sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) {
        blocked_ = errno == EAGAIN;
        return blocked_ || errno == EINTR;
      }
      chunk.sent += static_cast<size_t>(n);
      count_->fetch_add(static_cast<uint64_t>(n), std::memory_order_relaxed);
      acks_.emplace_back(now + options_.delay, static_cast<uint64_t>(n));
      if (chunk.sent == chunk.bytes.size()) chunks_.pop_front();
    }
    return true;
  }

  void TakeAcks(Time now) {
    while (!acks_.empty() && acks_.front().first <= now) {
      const uint64_t bytes = acks_.front().second;
      acks_.pop_front();
      under_way_ -= bytes;
      if (options_.slow_start)
        window_ = options_.window_bytes > 0 ? std::min(window_ + bytes, options_.window_bytes) : window_ + bytes;
    }
  }

 private:
  struct Chunk {
    Time due;
    std::vector<char> bytes;  // none: the end of the direction
    size_t sent;
  };
  uint64_t Room() const {
    const bool windowed = options_.window_bytes > 0 || options_.slow_start;
    const uint64_t most = windowed ? window_ : options_.bytes_per_second > 0 ? UINT64_MAX : DelayRelay::kUnlimitedBytes;
    return most > under_way_ ? most - under_way_ : 0;
  }

  const int from_;
  const int to_;
  DelayLink* const link_;
  const DelayOptions& options_;
  const Time open_at_;
  std::deque<Chunk> chunks_;
  std::deque<std::pair<Time, uint64_t>> acks_;
  uint64_t under_way_ = 0;  // read and not acknowledged
  uint64_t window_;
  std::atomic<uint64_t>* const count_;
  bool ended_ = false;
  bool shut_ = false;
  bool blocked_ = false;
};

void CloseWithReset(UniqueFd* fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd->get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  fd->Reset();
}

struct Connection {
  UniqueFd client;
  UniqueFd target;
  Flow forth;
  Flow back;
  bool broken = false;
};

}  // namespace

DelayLink::Time DelayLink::Enter(uint64_t bytes, Time now) {
  free_at_ = std::max(free_at_, now);
  if (options_.bytes_per_second > 0) {
    const double seconds = static_cast<double>(bytes) / static_cast<double>(options_.bytes_per_second);
    free_at_ += Time(static_cast<int64_t>(seconds * 1e9));
  }
  return free_at_ + options_.delay;
}

struct DelayRelay::State {
  explicit State(DelayOptions delay_options) : options(delay_options), forth(options), back(options) {}

  absl::Status Listen(const RelayedAddress& address);
  void Accept(size_t place);
  void Loop();
  void Step(const std::vector<pollfd>& polled);

  const DelayOptions options;
  DelayLink forth;
  DelayLink back;
  std::vector<UniqueFd> listeners;
  std::vector<sockaddr_in> targets;
  std::vector<uint16_t> ports;
  std::list<Connection> connections;
  UniqueFd stop;
  std::atomic<uint64_t> forth_bytes{0};
  std::atomic<uint64_t> back_bytes{0};
  std::atomic<uint64_t> accepted{0};
  std::thread thread;
};

absl::Status DelayRelay::State::Listen(const RelayedAddress& address) {
  US_ASSIGN_OR_RETURN(sockaddr_in here, ParseAddress(address.listen));
  US_ASSIGN_OR_RETURN(const sockaddr_in target, ParseAddress(address.target));
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  socklen_t length = sizeof(here);
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&here), length) != 0 || ::listen(listener.get(), 256) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&here), &length) != 0) {
    return absl::UnavailableError("listen on " + address.listen + ": " + std::strerror(errno));
  }
  ports.push_back(ntohs(here.sin_port));
  listeners.push_back(std::move(listener));
  targets.push_back(target);
  return absl::OkStatus();
}

void DelayRelay::State::Accept(size_t place) {
  UniqueFd client(::accept4(listeners[place].get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client.valid()) return;
  // On loopback it is there at once or refused.
  UniqueFd target(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(target.get(), reinterpret_cast<const sockaddr*>(&targets[place]), sizeof(sockaddr_in)) != 0) {
    CloseWithReset(&client);
    return;
  }
  ::fcntl(target.get(), F_SETFL, O_NONBLOCK);
  const int on = 1;
  ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(target.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // SYN, SYN-ACK: the client may send. ACK: the server has accepted.
  const Time now = Now();
  const int c = client.get();
  const int t = target.get();
  connections.push_back({std::move(client), std::move(target),
                         Flow(c, t, &forth, options, now + 2 * options.delay, &forth_bytes),
                         Flow(t, c, &back, options, now + 3 * options.delay, &back_bytes)});
  ++accepted;
}

// `polled` has the listeners' places, then two of each connection, then the one that stops the loop.
void DelayRelay::State::Step(const std::vector<pollfd>& polled) {
  const Time now = Now();
  size_t place = listeners.size();
  for (auto connection = connections.begin(); connection != connections.end();) {
    Connection& it = *connection;
    const bool in[2] = {(polled[place].revents & (POLLIN | POLLHUP | POLLERR)) != 0,
                        (polled[place + 1].revents & (POLLIN | POLLHUP | POLLERR)) != 0};
    place += 2;
    bool good = true;
    for (Flow* flow : {&it.forth, &it.back}) {
      flow->TakeAcks(now);
      if (good && in[flow == &it.back] && flow->wants_input(now)) good = flow->ReadSome(now);
      good = good && flow->WriteSome(now);
    }
    if (!good) {
      CloseWithReset(&it.client);
      CloseWithReset(&it.target);
    }
    connection = !good || (it.forth.finished() && it.back.finished()) ? connections.erase(connection) : ++connection;
  }
  // Whoever is looked at first finds room in front of a busy link: each in turn.
  if (!connections.empty()) connections.splice(connections.end(), connections, connections.begin());
  for (size_t i = 0; i < listeners.size(); ++i) {
    if (polled[i].revents != 0) Accept(i);
  }
}

void DelayRelay::State::Loop() {
  ::prctl(PR_SET_TIMERSLACK, kSlackNs);
  std::vector<pollfd> polled;
  while (true) {
    polled.clear();
    const Time now = Now();
    Time wait = kForever;
    for (const UniqueFd& listener : listeners) polled.push_back({.fd = listener.get(), .events = POLLIN, .revents = 0});
    for (const Connection& it : connections) {
      const auto events = [now](const Flow& in, const Flow& out) {
        return static_cast<short>((in.wants_input(now) ? POLLIN : 0) | (out.wants_output(now) ? POLLOUT : 0));
      };
      // Nothing wanted: not even an error is heard of, or it would spin until the queue has run dry.
      const short client = events(it.forth, it.back);
      const short target = events(it.back, it.forth);
      polled.push_back({.fd = client != 0 ? it.client.get() : -1, .events = client, .revents = 0});
      polled.push_back({.fd = target != 0 ? it.target.get() : -1, .events = target, .revents = 0});
      wait = std::min({wait, it.forth.NextEvent(now), it.back.NextEvent(now)});
    }
    polled.push_back({.fd = stop.get(), .events = POLLIN, .revents = 0});
    const timespec limit{.tv_sec = wait.count() / 1'000'000'000, .tv_nsec = wait.count() % 1'000'000'000};
    if (::ppoll(polled.data(), polled.size(), &limit, nullptr) < 0 && errno != EINTR) std::abort();
    if (polled.back().revents != 0) return;
    Step(polled);
  }
}

DelayRelay::DelayRelay(std::unique_ptr<State> state) : state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<DelayRelay>> DelayRelay::Start(std::vector<RelayedAddress> addresses,
                                                              DelayOptions options) {
  auto state = std::make_unique<State>(options);
  for (const RelayedAddress& address : addresses) US_RETURN_IF_ERROR(state->Listen(address));
  state->stop.Reset(::eventfd(0, EFD_CLOEXEC));
  State* raw = state.get();
  raw->thread = std::thread([raw] { raw->Loop(); });
  return std::unique_ptr<DelayRelay>(new DelayRelay(std::move(state)));
}

DelayRelay::~DelayRelay() {
  ::eventfd_write(state_->stop.get(), 1);
  state_->thread.join();
}

const std::vector<uint16_t>& DelayRelay::ports() const {
  return state_->ports;
}
uint64_t DelayRelay::forth_bytes() const {
  return state_->forth_bytes;
}
uint64_t DelayRelay::back_bytes() const {
  return state_->back_bytes;
}
uint64_t DelayRelay::connections() const {
  return state_->accepted;
}

}  // namespace uringsync
