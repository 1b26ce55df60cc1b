#include "agent/data_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <vector>

#include "engine/base/unique_fd.h"
#include "tests/agent/session_fixture.h"

namespace uringsync {
namespace {

// Far above what anything here takes, far below the limits that it would otherwise wait for.
constexpr std::chrono::seconds kSoon{2};

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

UniqueFd ConnectTo(uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  timeval patience{.tv_sec = 8, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return fd;
}

// Listens, and answers nobody.
class SilentListener {
 public:
  explicit SilentListener(int backlog) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = Loopback(0);
    socklen_t length = sizeof(address);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(fd_.get(), backlog), 0);
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  uint16_t port() const { return port_; }
  void Accept() { accepted_.emplace_back(::accept(fd_.get(), nullptr, nullptr)); }

 private:
  UniqueFd fd_;
  uint16_t port_ = 0;
  std::vector<UniqueFd> accepted_;
};

class DataServerTest : public testing::Test {
 protected:
  DataServerTest() {
    MakeDirectories(dir_ / "dst");
    agent_ = std::make_unique<TestAgent>(dir_.path());
  }
  void StartServer(size_t max_handshakes) {
    DataServerOptions options;
    options.runtime = agent_->runtime();
    options.table = &agent_->table();
    options.host = "127.0.0.1";
    options.max_handshakes = max_handshakes;
    absl::StatusOr<std::unique_ptr<DataServer>> server = DataServer::Start(options);
    ASSERT_OK(server);
    server_ = *std::move(server);
  }
  // A destination session that has begun to dial 127.0.0.1:`port`.
  std::unique_ptr<TestSession> StartDialling(uint16_t port) {
    auto session = std::make_unique<TestSession>(agent_.get());
    EXPECT_OK(session->Handshake());
    OpenSession open = OpenFor(Role::kDestination, 1, "dst");
    open.route.kind = DataRoute::Kind::kConnect;
    open.route.host = "127.0.0.1";
    open.route.port = port;
    open.data_connections = 2;
    session->Send(open);
    session->Expect<SessionOpened>();
    ActionBatch batch;
    batch.sequence = 1;
    session->Send(batch);
    return session;
  }
  static std::chrono::nanoseconds TimeOf(const std::function<void()>& step) {
    const auto begin = std::chrono::steady_clock::now();
    step();
    return std::chrono::steady_clock::now() - begin;
  }

  TempDir dir_;
  std::unique_ptr<TestAgent> agent_;
  std::unique_ptr<DataServer> server_;
};

TEST_F(DataServerTest, StopDoesNotWaitForSilentStrangers) {
  StartServer(128);
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 5; ++i) strangers.push_back(ConnectTo(server_->port()));
  EXPECT_LT(TimeOf([this] { server_->Stop(); }), kSoon);
}

TEST_F(DataServerTest, OneSilentStrangerTooManyEndsTheOldest) {
  StartServer(2);
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 3; ++i) strangers.push_back(ConnectTo(server_->port()));
  char byte = 0;
  // The deadline of its handshake is ten seconds.
  EXPECT_LT(TimeOf([&] { EXPECT_EQ(::recv(strangers[0].get(), &byte, 1, 0), 0); }), kSoon);
  EXPECT_EQ(::recv(strangers[2].get(), &byte, 1, MSG_DONTWAIT), -1);
}

TEST_F(DataServerTest, SessionEndsSoonWhileItsDialWaitsForAnAnswer) {
  SilentListener listener(16);
  std::unique_ptr<TestSession> session = StartDialling(listener.port());
  listener.Accept();
  EXPECT_LT(TimeOf([&] { static_cast<void>(session->End()); }), kSoon);
}

TEST_F(DataServerTest, SessionEndsSoonWhileItsDialIsInABlackHole) {
  SilentListener listener(0);
  // The backlog takes one; whoever comes later gets no answer to its SYN.
  const UniqueFd first = ConnectTo(listener.port());
  std::unique_ptr<TestSession> session = StartDialling(listener.port());
  EXPECT_LT(TimeOf([&] { static_cast<void>(session->End()); }), kSoon);
}

}  // namespace
}  // namespace uringsync
