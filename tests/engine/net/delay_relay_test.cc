// The long link that latency is measured with (tests/support/delay_relay.h).
#include "tests/support/delay_relay.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <string>
#include <thread>
#include <vector>

#include "engine/base/unique_fd.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(DelayLinkTest, BytesComeOutAfterTheDelayAndNoFasterThanTheRate) {
  DelayLink link({.delay = milliseconds(25), .bytes_per_second = 1000});
  const nanoseconds now = seconds(9);
  EXPECT_EQ(link.Enter(100, now), now + milliseconds(125));
  EXPECT_EQ(link.Enter(100, now), now + milliseconds(225)) << "behind the first";
  EXPECT_EQ(link.Backlog(now), milliseconds(200));
  EXPECT_TRUE(link.Full(now));
  EXPECT_FALSE(link.Full(now + milliseconds(195)));
  EXPECT_EQ(link.Enter(100, now + seconds(1)), now + seconds(1) + milliseconds(125)) << "an idle link saves nothing up";
}

TEST(DelayLinkTest, WithoutARateOnlyTheDelayCounts) {
  DelayLink link({.delay = milliseconds(5)});
  EXPECT_EQ(link.Enter(uint64_t{1} << 40, seconds(1)), seconds(1) + milliseconds(5));
  EXPECT_FALSE(link.Full(seconds(1)));
}

int Listen(uint16_t* port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(::listen(fd, 16), 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  *port = ntohs(address.sin_port);
  return fd;
}

UniqueFd Connect(uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

// Gives everything back until the peer ends.
void Echo(int fd) {
  std::vector<char> bytes(1 << 16);
  for (ssize_t n = 0; (n = ::recv(fd, bytes.data(), bytes.size(), 0)) > 0;) {
    for (ssize_t at = 0; at < n;) {
      const ssize_t sent = ::send(fd, bytes.data() + at, static_cast<size_t>(n - at), MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += sent;
    }
  }
  ::shutdown(fd, SHUT_WR);
}

struct EchoServer {
  explicit EchoServer(size_t connections) : listener(Listen(&port)) {
    acceptor = std::thread([this, connections] {
      std::vector<std::thread> servers;
      std::vector<UniqueFd> sockets;
      for (size_t i = 0; i < connections; ++i) {
        sockets.emplace_back(::accept(listener.get(), nullptr, nullptr));
        servers.emplace_back(Echo, sockets.back().get());
      }
      for (std::thread& server : servers) server.join();
    });
  }
  ~EchoServer() { acceptor.join(); }
  uint16_t port = 0;
  UniqueFd listener;
  std::thread acceptor;
};

TEST(DelayRelayTest, ARoundTripTakesTheDelayTwiceAndOpeningOneMore) {
  EchoServer server(1);
  auto relay = DelayRelay::Start({{"127.0.0.1:0", "127.0.0.1:" + std::to_string(server.port)}},
                                 {.delay = milliseconds(20), .bytes_per_second = 10'000'000});
  ASSERT_OK(relay);
  const UniqueFd client = Connect((*relay)->ports().front());
  for (const auto least : {milliseconds(80), milliseconds(40), milliseconds(40)}) {
    const auto begin = std::chrono::steady_clock::now();
    char byte = 'x';
    ASSERT_EQ(::send(client.get(), &byte, 1, 0), 1);
    ASSERT_EQ(::recv(client.get(), &byte, 1, 0), 1);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, least);
  }
  ::shutdown(client.get(), SHUT_WR);
  char byte = 0;
  EXPECT_EQ(::recv(client.get(), &byte, 1, 0), 0) << "the end passes too";
}

TEST(DelayRelayTest, ManyConnectionsShareTheRateAndEveryByteArrives) {
  constexpr size_t kConnections = 8;
  constexpr size_t kBytes = 512 << 10;
  EchoServer server(kConnections);
  auto relay = DelayRelay::Start(
      {{"127.0.0.1:0", "127.0.0.1:" + std::to_string(server.port)}},
      {.delay = milliseconds(5), .bytes_per_second = 16 << 20, .window_bytes = 1 << 20, .slow_start = true});
  ASSERT_OK(relay);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> clients;
  std::atomic<size_t> good{0};
  for (size_t i = 0; i < kConnections; ++i) {
    clients.emplace_back([&, i] {
      const UniqueFd fd = Connect((*relay)->ports().front());
      std::string sent(kBytes, '\0');
      for (size_t at = 0; at < kBytes; ++at) sent[at] = static_cast<char>(at * 31 + i + (at >> 8));
      std::thread sender([&] {
        for (size_t at = 0; at < kBytes;) {
          const ssize_t n = ::send(fd.get(), sent.data() + at, kBytes - at, MSG_NOSIGNAL);
          if (n <= 0) return;
          at += static_cast<size_t>(n);
        }
        ::shutdown(fd.get(), SHUT_WR);
      });
      std::string seen;
      std::vector<char> part(1 << 16);
      for (ssize_t n = 0; (n = ::recv(fd.get(), part.data(), part.size(), 0)) > 0;)
        seen.append(part.data(), static_cast<size_t>(n));
      sender.join();
      good += seen == sent;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(good, kConnections);
  // 4 MiB each way at 16 MiB/s.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(240));
  EXPECT_EQ((*relay)->forth_bytes(), kConnections * kBytes);
  EXPECT_EQ((*relay)->connections(), kConnections);
}

TEST(DelayRelayTest, AnAddressThatIsNoneIsRefused) {
  EXPECT_THAT(DelayRelay::Start({{"localhost:1", "127.0.0.1:1"}}, {}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DelayRelay::Start({{"192.0.2.1:1", "127.0.0.1:1"}}, {}), StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace uringsync
