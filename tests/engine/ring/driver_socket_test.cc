// Sockets and readiness on both drivers.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "engine/coro/scope.h"
#include "tests/engine/ring/driver_conformance.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;

class DriverSocketTest : public DriverConformanceTest {};
US_INSTANTIATE_FOR_DRIVERS(DriverSocketTest);

TEST_P(DriverSocketTest, AcceptAndConnectMeetAndExchangeBytes) {
  LoopbackListener listener = MakeListener();
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct Test {
    static Task<void> Body(int listener, int client, const sockaddr_in* address, std::string* got) {
      int64_t accepted = -1;
      int64_t connected = -1;
      Scope scope;
      scope.Spawn(Store(AcceptOp(listener), &accepted));
      scope.Spawn(Store(ConnectOp(client, *address), &connected));
      co_await scope.Join();
      EXPECT_EQ(connected, 0);
      EXPECT_GE(accepted, 0);
      UniqueFd server(static_cast<int>(accepted));
      EXPECT_NE(::fcntl(server.get(), F_GETFD) & FD_CLOEXEC, 0);
      const int64_t sent = co_await Do(SendOp(client, "ping", 4));
      EXPECT_EQ(sent, 4);
      char buffer[16];
      const int64_t received = co_await Do(RecvOp(server.get(), buffer, sizeof(buffer)));
      got->assign(buffer, static_cast<size_t>(std::max<int64_t>(0, received)));
    }
  };
  std::string got;
  RunOn(shard(), Test::Body(listener.fd.get(), client.get(), &listener.address, &got));
  EXPECT_EQ(got, "ping");
  EXPECT_EQ(::fcntl(client.get(), F_GETFL) & O_NONBLOCK, 0) << "connect left the socket in another mode";
}

TEST_P(DriverSocketTest, ConnectToNobodyIsRefused) {
  LoopbackListener listener = MakeListener();
  const sockaddr_in address = listener.address;
  listener.fd.Reset();
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(Run(ConnectOp(client.get(), address)), -ECONNREFUSED);
}

TEST_P(DriverSocketTest, NonBlockingSocketsWaitLikeBlockingOnes) {
  LoopbackListener listener = MakeListener();
  ASSERT_EQ(::fcntl(listener.fd.get(), F_SETFL, O_NONBLOCK), 0);
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  struct Test {
    static Task<void> Body(int listener, int client, const sockaddr_in* address) {
      int64_t accepted = -1;
      Scope scope;
      scope.Spawn(Store(AcceptOp(listener), &accepted));
      const int64_t connected = co_await Do(ConnectOp(client, *address));
      EXPECT_EQ(connected, 0);
      co_await scope.Join();
      UniqueFd server(static_cast<int>(accepted));
      EXPECT_TRUE(server.valid());
      ::fcntl(server.get(), F_SETFL, O_NONBLOCK);
      char buffer[4];
      int64_t received = -1;
      Scope receiving;
      receiving.Spawn(Store(RecvOp(server.get(), buffer, sizeof(buffer)), &received));
      co_await Yield{};
      co_await Do(TimeoutOp(milliseconds(2)));
      const int64_t sent = co_await Do(SendOp(client, "abcd", 4));
      EXPECT_EQ(sent, 4);
      co_await receiving.Join();
      EXPECT_EQ(received, 4);
    }
  };
  RunOn(shard(), Test::Body(listener.fd.get(), client.get(), &listener.address));
}

TEST_P(DriverSocketTest, RecvWaitsForDataThatComesLater) {
  SocketPair pair = MakeSocketPair();
  struct Test {
    static Task<void> Body(int a, int b) {
      char buffer[8];
      int64_t received = -1;
      Scope scope;
      scope.Spawn(Store(RecvOp(a, buffer, sizeof(buffer)), &received));
      co_await Do(TimeoutOp(milliseconds(2)));
      EXPECT_EQ(received, -1);
      co_await Do(SendOp(b, "x", 1));
      co_await scope.Join();
      EXPECT_EQ(received, 1);
    }
  };
  RunOn(shard(), Test::Body(pair.a.get(), pair.b.get()));
}

TEST_P(DriverSocketTest, RecvSeesTheEndOfAClosedPeer) {
  SocketPair pair = MakeSocketPair();
  pair.b.Reset();
  char byte = 0;
  EXPECT_EQ(Run(RecvOp(pair.a.get(), &byte, 1)), 0);
}

TEST_P(DriverSocketTest, SendToAClosedPeerIsAnErrorAndNoSignal) {
  SocketPair pair = MakeSocketPair();
  pair.b.Reset();
  EXPECT_EQ(Run(SendOp(pair.a.get(), "x", 1)), -EPIPE);
}

TEST_P(DriverSocketTest, PeerThatClosesWhileRecvWaitsEndsIt) {
  SocketPair pair = MakeSocketPair();
  struct Test {
    static Task<void> Body(SocketPair* pair) {
      char byte = 0;
      int64_t received = -1;
      Scope scope;
      scope.Spawn(Store(RecvOp(pair->a.get(), &byte, 1), &received));
      co_await Do(TimeoutOp(milliseconds(1)));
      pair->b.Reset();
      co_await scope.Join();
      EXPECT_EQ(received, 0);
    }
  };
  RunOn(shard(), Test::Body(&pair));
}

Task<void> SendAll(int fd, const std::string* data) {
  size_t done = 0;
  while (done < data->size()) {
    const int64_t n = co_await Do(SendOp(fd, data->data() + done, data->size() - done));
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  EXPECT_EQ(done, data->size());
}

Task<void> RecvAll(int fd, size_t size, std::string* data) {
  std::vector<char> chunk(30000);
  while (data->size() < size) {
    const int64_t n = co_await Do(RecvOp(fd, chunk.data(), chunk.size()));
    if (n <= 0) break;
    data->append(chunk.data(), static_cast<size_t>(n));
  }
}

TEST_P(DriverSocketTest, BothDirectionsOfASocketFlowAtOnceBeyondItsBuffers) {
  SocketPair pair = MakeSocketPair();
  struct Test {
    static Task<void> Body(SocketPair* pair, const std::string* data, std::string* at_a, std::string* at_b) {
      Scope scope;
      scope.Spawn(SendAll(pair->a.get(), data));
      scope.Spawn(SendAll(pair->b.get(), data));
      scope.Spawn(RecvAll(pair->a.get(), data->size(), at_a));
      scope.Spawn(RecvAll(pair->b.get(), data->size(), at_b));
      co_await scope.Join();
    }
  };
  std::string data(2 << 20, 'q');
  for (size_t i = 0; i < data.size(); i += 101) data[i] = static_cast<char>(i);
  std::string at_a;
  std::string at_b;
  RunOn(shard(), Test::Body(&pair, &data, &at_a, &at_b));
  EXPECT_TRUE(at_a == data);
  EXPECT_TRUE(at_b == data);
}

TEST_P(DriverSocketTest, DescriptorNumberThatComesBackIsANewSocket) {
  for (int i = 0; i < 3; ++i) {
    SocketPair pair = MakeSocketPair();
    struct Test {
      static Task<void> Body(int a, int b) {
        char byte = 0;
        int64_t received = -1;
        Scope scope;
        scope.Spawn(Store(RecvOp(a, &byte, 1), &received));
        co_await Do(TimeoutOp(milliseconds(1)));
        co_await Do(SendOp(b, "x", 1));
        co_await scope.Join();
        EXPECT_EQ(received, 1);
      }
    };
    RunOn(shard(), Test::Body(pair.a.get(), pair.b.get()));
  }
}

TEST_P(DriverSocketTest, ConnectToAFullQueueWaitsUntilItIsAccepted) {
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = dir_ / "s";
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct Test {
    static Task<void> Body(int listener, std::vector<UniqueFd>* clients, const sockaddr_un* address) {
      std::vector<int64_t> connected(clients->size(), -1);
      Scope scope;
      for (size_t i = 0; i < clients->size(); ++i) {
        Op op{.code = OpCode::kConnect,
              .fd = (*clients)[i].get(),
              .address = reinterpret_cast<const sockaddr*>(address),
              .address_length = sizeof(*address)};
        scope.Spawn(Store(op, &connected[i]));
      }
      for (size_t i = 0; i < clients->size(); ++i) {
        const int64_t accepted = co_await Do(AcceptOp(listener));
        EXPECT_GE(accepted, 0);
        UniqueFd closer(static_cast<int>(accepted));
      }
      co_await scope.Join();
      for (int64_t result : connected) EXPECT_EQ(result, 0);
    }
  };
  RunOn(shard(), Test::Body(listener.get(), &clients, &address));
}

// Poll.

TEST_P(DriverSocketTest, PollReportsReadinessOnceItIsThere) {
  SocketPair pair = MakeSocketPair();
  EXPECT_EQ(Run(PollOp(pair.a.get(), POLLOUT)), POLLOUT);
  struct Test {
    static Task<void> Body(int a, int b) {
      int64_t ready = -1;
      Scope scope;
      scope.Spawn(Store(PollOp(a, POLLIN), &ready));
      co_await Do(TimeoutOp(milliseconds(1)));
      EXPECT_EQ(ready, -1);
      co_await Do(SendOp(b, "x", 1));
      co_await scope.Join();
      EXPECT_EQ(ready, POLLIN);
    }
  };
  RunOn(shard(), Test::Body(pair.a.get(), pair.b.get()));
}

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};
Pipe MakePipe() {
  std::signal(SIGPIPE, SIG_IGN);
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

TEST_P(DriverSocketTest, APipeIsReadWhenSomethingIsThereAndWrittenInParts) {
  struct Test {
    static Task<void> Body(const Pipe* pipe) {
      char buffer[16] = {};
      int64_t got = -1;
      Scope scope;
      scope.Spawn(Store(ReadPipeOp(pipe->read_end.get(), buffer, sizeof(buffer)), &got));
      co_await Yield{};
      const iovec parts[] = {{const_cast<char*>("pi"), 2}, {const_cast<char*>("ng"), 2}};
      EXPECT_EQ(co_await Do(WritePipeOp(pipe->write_end.get(), parts, 2)), 4);
      co_await scope.Join();
      EXPECT_EQ(got, 4);
      EXPECT_STREQ(buffer, "ping");
    }
  };
  const Pipe pipe = MakePipe();
  RunOn(shard(), Test::Body(&pipe));
}

TEST_P(DriverSocketTest, AFullPipeTakesWhatFitsAndTheRestWaitsForAReader) {
  struct Test {
    static Task<void> Body(const Pipe* pipe) {
      const std::vector<char> much(size_t{1} << 20);
      const iovec part{const_cast<char*>(much.data()), much.size()};
      const int64_t first = co_await Do(WritePipeOp(pipe->write_end.get(), &part, 1));
      EXPECT_GT(first, 0);
      EXPECT_LT(first, static_cast<int64_t>(much.size()));
      int64_t second = -1;
      Scope scope;
      scope.Spawn(Store(WritePipeOp(pipe->write_end.get(), &part, 1), &second));
      co_await Yield{};
      std::vector<char> buffer(much.size());
      EXPECT_EQ(co_await Do(ReadPipeOp(pipe->read_end.get(), buffer.data(), buffer.size())), first);
      co_await scope.Join();
      EXPECT_GT(second, 0);
    }
  };
  const Pipe pipe = MakePipe();
  RunOn(shard(), Test::Body(&pipe));
}

TEST_P(DriverSocketTest, TheEndsOfAPipeAreTold) {
  char byte = 0;
  const iovec part{&byte, 1};
  Pipe pipe = MakePipe();
  EXPECT_EQ(Run(WithTimeout(ReadPipeOp(pipe.read_end.get(), &byte, 1), milliseconds(5))), -ETIME);
  pipe.write_end.Reset();
  EXPECT_EQ(Run(ReadPipeOp(pipe.read_end.get(), &byte, 1)), 0);
  pipe = MakePipe();
  pipe.read_end.Reset();
  EXPECT_EQ(Run(WritePipeOp(pipe.write_end.get(), &part, 1)), -EPIPE);
}

}  // namespace
}  // namespace uringsync
