// One suite for both drivers, natively, as on kernels 5.15 and 5.6, and with completions late and shuffled.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/coro/channel.h"
#include "engine/coro/scope.h"
#include "tests/engine/ring/op_helpers.h"
#include "tests/support/late_driver.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;

struct Param {
  IoBackend backend;
  KernelLevel level;
  bool late = false;
};

std::string ParamName(const testing::TestParamInfo<Param>& info) {
  const Param& param = info.param;
  const char* level = param.level == KernelLevel::kNative ? "native" : param.level == KernelLevel::k5_15 ? "k5_15" : "k5_6";
  return std::string(param.backend == IoBackend::kUring ? "uring_" : "threads_") + level + (param.late ? "_late" : "");
}

class DriverConformanceTest : public testing::TestWithParam<Param> {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam().backend;
    options.driver.level = GetParam().level;
    if (GetParam().late) options.wrap_driver = LateDriver::Wrapper(LateDriver::SeedFromEnvironment());
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
    if (!runtime.ok() && GetParam().backend == IoBackend::kUring)
      GTEST_SKIP() << "io_uring is refused here: " << std::string(runtime.status().message());
    ASSERT_OK(runtime);
    runtime_ = *std::move(runtime);
  }

  Shard& shard() { return runtime_->shard(0); }
  int64_t Run(Op op) { return RunOn(shard(), Do(op)); }
  UniqueFd Open(const std::string& name, int flags) {
    UniqueFd fd(::open((dir_ / name).c_str(), flags | O_CLOEXEC, 0600));
    EXPECT_TRUE(fd.valid()) << name << ": " << std::strerror(errno);
    return fd;
  }

  TempDir dir_;
  std::unique_ptr<Runtime> runtime_;
};

INSTANTIATE_TEST_SUITE_P(Drivers, DriverConformanceTest,
                         testing::Values(Param{IoBackend::kUring, KernelLevel::kNative},
                                         Param{IoBackend::kUring, KernelLevel::k5_15},
                                         Param{IoBackend::kUring, KernelLevel::k5_6},
                                         Param{IoBackend::kUring, KernelLevel::kNative, true},
                                         Param{IoBackend::kThreads, KernelLevel::kNative},
                                         Param{IoBackend::kThreads, KernelLevel::k5_15},
                                         Param{IoBackend::kThreads, KernelLevel::k5_6},
                                         Param{IoBackend::kThreads, KernelLevel::kNative, true}),
                         ParamName);

TEST_P(DriverConformanceTest, ReadReturnsBytesFromTheOffset) {
  WriteFile(dir_ / "f", "hello world");
  UniqueFd fd = Open("f", O_RDONLY);
  char buffer[16] = {};
  EXPECT_EQ(Run(ReadOp(fd.get(), buffer, 5, 6)), 5);
  EXPECT_STREQ(buffer, "world");
}

TEST_P(DriverConformanceTest, ReadPastEndReturnsShortCountAndThenZero) {
  WriteFile(dir_ / "f", "abc");
  UniqueFd fd = Open("f", O_RDONLY);
  char buffer[16] = {};
  EXPECT_EQ(Run(ReadOp(fd.get(), buffer, 16, 1)), 2);
  EXPECT_EQ(Run(ReadOp(fd.get(), buffer, 16, 3)), 0);
  EXPECT_EQ(Run(ReadOp(fd.get(), buffer, 16, 1000)), 0);
}

TEST_P(DriverConformanceTest, NonBlockingFileIsReadLikeAnyOther) {
  WriteFile(dir_ / "f", std::string(300000, 'x'));
  UniqueFd fd = Open("f", O_RDONLY | O_NONBLOCK);
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  std::string buffer(300000, '\0');
  size_t have = 0;
  while (have < buffer.size()) {
    const int64_t n = Run(ReadOp(fd.get(), buffer.data() + have, buffer.size() - have, have));
    ASSERT_GT(n, 0);
    have += static_cast<size_t>(n);
  }
  EXPECT_EQ(buffer, std::string(300000, 'x'));
}

TEST_P(DriverConformanceTest, WriteLandsAtTheOffsetAndLeavesAHoleBefore) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  EXPECT_EQ(Run(WriteOp(fd.get(), "xyz", 3, 4096)), 3);
  EXPECT_EQ(ReadFile(dir_ / "f"), std::string(4096, '\0') + "xyz");
}

TEST_P(DriverConformanceTest, LargeTransfersGoThroughWhole) {
  std::string data(3 << 20, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 4099);
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  size_t done = 0;
  while (done < data.size()) {
    const int64_t n = Run(WriteOp(fd.get(), data.data() + done, data.size() - done, done));
    ASSERT_GT(n, 0);
    done += static_cast<size_t>(n);
  }
  std::string back(data.size(), '\0');
  for (done = 0; done < back.size();) {
    const int64_t n = Run(ReadOp(fd.get(), back.data() + done, back.size() - done, done));
    ASSERT_GT(n, 0);
    done += static_cast<size_t>(n);
  }
  EXPECT_TRUE(back == data);
}

TEST_P(DriverConformanceTest, ErrorsComeBackAsNegativeErrno) {
  char byte = 0;
  EXPECT_EQ(Run(ReadOp(-1, &byte, 1, 0)), -EBADF);
  UniqueFd directory = Open(".", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Run(ReadOp(directory.get(), &byte, 1, 0)), -EISDIR);
  WriteFile(dir_ / "f", "x");
  UniqueFd readonly = Open("f", O_RDONLY);
  EXPECT_EQ(Run(WriteOp(readonly.get(), "y", 1, 0)), -EBADF);
  EXPECT_EQ(Run(RecvOp(readonly.get(), &byte, 1)), -ENOTSOCK);
}

TEST_P(DriverConformanceTest, FsyncOfDataAndOfEverythingSucceeds) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  EXPECT_EQ(Run(WriteOp(fd.get(), "x", 1, 0)), 1);
  EXPECT_EQ(Run({.code = OpCode::kFsync, .fd = fd.get()}), 0);
  EXPECT_EQ(Run({.code = OpCode::kFsync, .fd = fd.get(), .flags = kFsyncDataOnly}), 0);
  EXPECT_EQ(Run({.code = OpCode::kFsync, .fd = -1}), -EBADF);
}

TEST_P(DriverConformanceTest, FallocateReservesAndPunches) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  const int64_t result = Run({.code = OpCode::kFallocate, .fd = fd.get(), .offset = 0, .length64 = 65536});
  if (result == -EOPNOTSUPP) GTEST_SKIP() << "the file system of the temporary directory has no fallocate";
  ASSERT_EQ(result, 0);
  struct stat status {};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 65536);
  EXPECT_EQ(Run({.code = OpCode::kFallocate,
                 .fd = fd.get(),
                 .offset = 0,
                 .length64 = 65536,
                 .flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}),
            0);
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 0);
}

TEST_P(DriverConformanceTest, NopCompletesWithZero) { EXPECT_EQ(Run({.code = OpCode::kNop}), 0); }

// Sockets.

Task<void> Store(Op op, int64_t* result) { *result = co_await Do(op); }

TEST_P(DriverConformanceTest, AcceptAndConnectMeetAndExchangeBytes) {
  Listener listener = MakeListener();
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

TEST_P(DriverConformanceTest, ConnectToNobodyIsRefused) {
  Listener listener = MakeListener();
  const sockaddr_in address = listener.address;
  listener.fd.Reset();
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(Run(ConnectOp(client.get(), address)), -ECONNREFUSED);
}

TEST_P(DriverConformanceTest, NonBlockingSocketsWaitLikeBlockingOnes) {
  Listener listener = MakeListener();
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

TEST_P(DriverConformanceTest, RecvWaitsForDataThatComesLater) {
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

TEST_P(DriverConformanceTest, RecvSeesTheEndOfAClosedPeer) {
  SocketPair pair = MakeSocketPair();
  pair.b.Reset();
  char byte = 0;
  EXPECT_EQ(Run(RecvOp(pair.a.get(), &byte, 1)), 0);
}

TEST_P(DriverConformanceTest, SendToAClosedPeerIsAnErrorAndNoSignal) {
  SocketPair pair = MakeSocketPair();
  pair.b.Reset();
  EXPECT_EQ(Run(SendOp(pair.a.get(), "x", 1)), -EPIPE);
}

TEST_P(DriverConformanceTest, PeerThatClosesWhileRecvWaitsEndsIt) {
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

TEST_P(DriverConformanceTest, BothDirectionsOfASocketFlowAtOnceBeyondItsBuffers) {
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

TEST_P(DriverConformanceTest, DescriptorNumberThatComesBackIsANewSocket) {
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

TEST_P(DriverConformanceTest, ConnectToAFullQueueWaitsUntilItIsAccepted) {
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

TEST_P(DriverConformanceTest, PollReportsReadinessOnceItIsThere) {
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

// Timers, time-outs, cancels.

TEST_P(DriverConformanceTest, TimeoutPassesNoEarlierThanAsked) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Run(TimeoutOp(milliseconds(20))), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(20));
  EXPECT_EQ(Run(TimeoutOp(std::chrono::nanoseconds(0))), 0);
}

TEST_P(DriverConformanceTest, TimersEndInTheOrderOfTheirDeadlines) {
  struct Test {
    static Task<void> Sleep(int ms, std::vector<int>* order) {
      co_await Do(TimeoutOp(milliseconds(ms)));
      order->push_back(ms);
    }
    static Task<void> Body(std::vector<int>* order) {
      Scope scope;
      for (int ms : {30, 5, 55, 15, 45}) scope.Spawn(Sleep(ms, order));
      co_await scope.Join();
    }
  };
  std::vector<int> order;
  RunOn(shard(), Test::Body(&order));
  EXPECT_EQ(order, (std::vector<int>{5, 15, 30, 45, 55}));
}

TEST_P(DriverConformanceTest, RecvThatTakesTooLongEndsWithEtime) {
  SocketPair pair = MakeSocketPair();
  char byte = 0;
  EXPECT_EQ(Run(WithTimeout(RecvOp(pair.a.get(), &byte, 1), milliseconds(5))), -ETIME);
  // The socket is as good as before.
  ASSERT_EQ(::send(pair.b.get(), "x", 1, 0), 1);
  EXPECT_EQ(Run(WithTimeout(RecvOp(pair.a.get(), &byte, 1), std::chrono::seconds(10))), 1);
}

TEST_P(DriverConformanceTest, AcceptThatTakesTooLongEndsWithEtime) {
  Listener listener = MakeListener();
  EXPECT_EQ(Run(WithTimeout(AcceptOp(listener.fd.get()), milliseconds(5))), -ETIME);
}

TEST_P(DriverConformanceTest, SendIntoAFullBufferEndsWithEtime) {
  SocketPair pair = MakeSocketPair();
  std::vector<char> block(1 << 20);
  while (::send(pair.a.get(), block.data(), block.size(), MSG_DONTWAIT) > 0) {
  }
  EXPECT_EQ(Run(WithTimeout(SendOp(pair.a.get(), block.data(), block.size()), milliseconds(5))), -ETIME);
}

TEST_P(DriverConformanceTest, PollThatTakesTooLongEndsWithEtime) {
  SocketPair pair = MakeSocketPair();
  EXPECT_EQ(Run(WithTimeout(PollOp(pair.a.get(), POLLIN), milliseconds(5))), -ETIME);
}

Task<void> StoreOp(Op* op, bool* done) {
  co_await Await(Shard::Current()->driver(), op);
  *done = true;
}

Task<void> CancelAfterYields(Op op, int yields, int64_t* result) {
  bool done = false;
  Scope scope;
  scope.Spawn(StoreOp(&op, &done));
  // One turn to submit it, and then some more.
  for (int i = 0; i <= yields; ++i) co_await Yield{};
  if (!done) Shard::Current()->driver()->Cancel(&op);
  // A second cancel, and one of an operation that has ended, change nothing.
  if (!done) Shard::Current()->driver()->Cancel(&op);
  co_await scope.Join();
  Shard::Current()->driver()->Cancel(&op);
  *result = op.result;
}

TEST_P(DriverConformanceTest, CancelEndsEveryKindOfWait) {
  SocketPair pair = MakeSocketPair();
  Listener listener = MakeListener();
  char byte = 0;
  // Cancelled while still queued, just submitted, and in flight for some rounds.
  for (int yields : {0, 1, 2, 5, 400}) {
    for (Op op : {RecvOp(pair.a.get(), &byte, 1), AcceptOp(listener.fd.get()), PollOp(pair.a.get(), POLLIN),
                  TimeoutOp(std::chrono::hours(1)), WithTimeout(RecvOp(pair.a.get(), &byte, 1), std::chrono::hours(1))}) {
      int64_t result = 0;
      RunOn(shard(), CancelAfterYields(op, yields, &result));
      EXPECT_EQ(result, -ECANCELED) << OpCodeName(op.code) << " after " << yields;
    }
  }
}

TEST_P(DriverConformanceTest, CancelOfFileOperationsCompletesThemOneWayOrTheOther) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  std::vector<char> block(1 << 20, 'x');
  for (int yields : {0, 1, 2}) {
    int64_t result = 0;
    RunOn(shard(), CancelAfterYields(WriteOp(fd.get(), block.data(), block.size(), 0), yields, &result));
    EXPECT_TRUE(result == -ECANCELED || result > 0) << result;
    RunOn(shard(), CancelAfterYields({.code = OpCode::kFsync, .fd = fd.get()}, yields, &result));
    EXPECT_TRUE(result == -ECANCELED || result == 0) << result;
  }
}

TEST_P(DriverConformanceTest, DataThatRacesACancelIsReceivedOrStaysInTheSocket) {
  struct Test {
    static Task<void> Body(int a, int b, int round, int64_t* got) {
      char byte = 0;
      Op op = RecvOp(a, &byte, 1);
      bool done = false;
      Scope scope;
      scope.Spawn(StoreOp(&op, &done));
      for (int i = 0; i <= round % 4; ++i) co_await Yield{};
      if (::send(b, "x", 1, 0) != 1) co_return;
      for (int i = 0; i < round / 4 % 3; ++i) co_await Yield{};
      if (!done) Shard::Current()->driver()->Cancel(&op);
      co_await scope.Join();
      *got = op.result;
    }
  };
  for (int round = 0; round < 60; ++round) {
    SocketPair pair = MakeSocketPair();
    int64_t got = 0;
    RunOn(shard(), Test::Body(pair.a.get(), pair.b.get(), round, &got));
    char byte = 0;
    const ssize_t left = ::recv(pair.a.get(), &byte, 1, MSG_DONTWAIT);
    if (got == 1) {
      EXPECT_EQ(left, -1) << "byte delivered twice";
    } else {
      EXPECT_EQ(got, -ECANCELED);
      EXPECT_EQ(left, 1) << "byte lost";
    }
  }
}

// Amount.

Task<void> CountedNop(size_t* done) {
  co_await Do({.code = OpCode::kNop});
  ++*done;
}

TEST_P(DriverConformanceTest, FarMoreOperationsThanTheRingHoldsAllComplete) {
  struct Test {
    static Task<void> Body(size_t count, size_t* done) {
      Scope scope;
      for (size_t i = 0; i < count; ++i) scope.Spawn(CountedNop(done));
      co_await scope.Join();
    }
  };
  size_t done = 0;
  RunOn(shard(), Test::Body(20000, &done));
  EXPECT_EQ(done, 20000U);
}

// Submits everything from one coroutine, without giving the loop a turn: completions overflow the queue of any ring.
TEST_P(DriverConformanceTest, CompletionsBeyondTheQueueAreNotLost) {
  struct Done final : Executor {
    void Post(std::coroutine_handle<> handle) override {
      if (--left == 0) shard->Post(handle);
    }
    size_t left = 0;
    Executor* shard = nullptr;
  };
  struct SubmitAll {
    std::vector<Op>* ops;
    Done* done;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) const {
      done->left = ops->size();
      done->shard = Executor::Current();
      for (Op& op : *ops) {
        op.waiter = handle;
        op.executor = done;
        Shard::Current()->driver()->Submit(&op);
      }
    }
    void await_resume() const {}
  };
  struct Test {
    static Task<void> Body(std::vector<Op>* ops, Done* done) {
      const SubmitAll all{ops, done};
      co_await all;
    }
  };
  std::vector<char> bytes(30000);
  WriteFile(dir_ / "f", std::string(30000, 'z'));
  UniqueFd fd = Open("f", O_RDONLY);
  std::vector<Op> ops;
  for (size_t i = 0; i < bytes.size(); ++i) ops.push_back(ReadOp(fd.get(), &bytes[i], 1, i));
  Done done;
  RunOn(shard(), Test::Body(&ops, &done));
  for (const Op& op : ops) ASSERT_EQ(op.result, 1);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), std::string(30000, 'z'));
}

TEST_P(DriverConformanceTest, ManyWaitingSocketsAndTheirTimeoutsLiveSideBySide) {
  struct Test {
    static Task<void> Body(std::vector<SocketPair>* pairs) {
      std::vector<int64_t> results(pairs->size(), 1);
      std::vector<char> bytes(pairs->size());
      Scope scope;
      for (size_t i = 0; i < pairs->size(); ++i) {
        const Op recv = RecvOp((*pairs)[i].a.get(), &bytes[i], 1);
        scope.Spawn(Store(WithTimeout(recv, i % 2 == 0 ? std::chrono::hours(1) : milliseconds(5 + i)), &results[i]));
      }
      co_await Do(TimeoutOp(milliseconds(2)));
      for (size_t i = 0; i < pairs->size(); i += 2) co_await Do(SendOp((*pairs)[i].b.get(), "x", 1));
      co_await scope.Join();
      for (size_t i = 0; i < pairs->size(); ++i) EXPECT_EQ(results[i], i % 2 == 0 ? 1 : -ETIME) << i;
    }
  };
  std::vector<SocketPair> pairs;
  for (int i = 0; i < 40; ++i) pairs.push_back(MakeSocketPair());
  RunOn(shard(), Test::Body(&pairs));
}

// Wake-ups.

TEST_P(DriverConformanceTest, PostsOfAnotherThreadAlwaysWakeTheShard) {
  struct Test {
    static Task<void> Count(Channel<int>* channel, int* sum) {
      while (true) {
        std::optional<int> value = co_await channel->Receive();
        if (!value.has_value()) co_return;
        *sum += *value;
      }
    }
  };
  Channel<int> channel(1);
  int sum = 0;
  std::thread sender([&channel] {
    for (int i = 0; i < 5000; ++i) channel.BlockingSend(1);
    channel.Close();
  });
  RunOn(shard(), Test::Count(&channel, &sum));
  sender.join();
  EXPECT_EQ(sum, 5000);
}

TEST_P(DriverConformanceTest, WakeBeforePollMakesItReturnAtOnce) {
  struct Test {
    static Task<void> Body() {
      Driver* driver = Shard::Current()->driver();
      driver->Wake();
      const auto begin = std::chrono::steady_clock::now();
      driver->Poll(std::chrono::seconds(30));
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
      co_return;
    }
  };
  RunOn(shard(), Test::Body());
}

// Inline calls.

Task<long> Call(CallCode code, long a0, long a1, long a2, long a3) {
  const long result = Shard::Current()->driver()->Call(code, a0, a1, a2, a3);
  co_return result;
}

TEST_P(DriverConformanceTest, CallsReturnResultsOrNegativeErrnoAndAreCounted) {
  const std::string path = dir_ / "d";
  EXPECT_EQ(RunOn(shard(), Call(CallCode::kMkdirat, AT_FDCWD, reinterpret_cast<long>(path.c_str()), 0700, 0)), 0);
  EXPECT_EQ(RunOn(shard(), Call(CallCode::kMkdirat, AT_FDCWD, reinterpret_cast<long>(path.c_str()), 0700, 0)), -EEXIST);
  EXPECT_EQ(RunOn(shard(), Call(CallCode::kChmod, reinterpret_cast<long>(path.c_str()), 0500, 0, 0)), 0);
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0500U);
  EXPECT_EQ(RunOn(shard(), Call(CallCode::kChown, reinterpret_cast<long>(path.c_str()), -1, -1, 0)), 0);
  const DriverCounters counters = runtime_->Counters();
  EXPECT_EQ(counters.calls[Index(CallCode::kMkdirat)], 2U);
  EXPECT_EQ(counters.calls[Index(CallCode::kChmod)], 1U);
}

TEST_P(DriverConformanceTest, CallsNewerThanTheLevelAreAbsent) {
  const long result = RunOn(shard(), Call(CallCode::kListxattrat, -1, 0, 0, 0));
  if (GetParam().level == KernelLevel::kNative) {
    EXPECT_LT(result, 0);
  } else {
    EXPECT_EQ(result, -ENOSYS);
  }
}

// Counters.

TEST_P(DriverConformanceTest, FileDataAndSocketTrafficCountAsSubmittedOperations) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  SocketPair pair = MakeSocketPair();
  char byte = 'x';
  ASSERT_EQ(Run(WriteOp(fd.get(), &byte, 1, 0)), 1);
  ASSERT_EQ(Run(ReadOp(fd.get(), &byte, 1, 0)), 1);
  ASSERT_EQ(Run({.code = OpCode::kFsync, .fd = fd.get()}), 0);
  ASSERT_EQ(Run(SendOp(pair.a.get(), &byte, 1)), 1);
  ASSERT_EQ(Run(RecvOp(pair.b.get(), &byte, 1)), 1);
  const DriverCounters counters = runtime_->Counters();
  for (OpCode code : {OpCode::kWrite, OpCode::kRead, OpCode::kFsync, OpCode::kSend, OpCode::kRecv})
    EXPECT_EQ(counters.submitted[Index(code)], 1U) << OpCodeName(code);
  for (uint64_t calls : counters.calls) EXPECT_EQ(calls, 0U);
  // fsync never completes within the submission; every file operation is either inline or handed off.
  EXPECT_EQ(counters.handed_off[Index(OpCode::kFsync)], 1U);
  for (OpCode code : {OpCode::kWrite, OpCode::kRead})
    EXPECT_EQ(counters.ring_inline[Index(code)] + counters.handed_off[Index(code)], 1U) << OpCodeName(code);
  EXPECT_GT(counters.enters, 0U);
}

// Buffers.

TEST_P(DriverConformanceTest, PoolBuffersCarryDataRegisteredOrNot) {
  WriteFile(dir_ / "f", "pooled");
  UniqueFd fd = Open("f", O_RDWR);
  struct Test {
    static Task<void> Body(int fd, bool ask) {
      BufferPool pool(Shard::Current()->driver(), {.buffer_bytes = 65536, .count = 2, .try_register = ask});
      Buffer buffer = co_await pool.Get();
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 4096, 0U);
      EXPECT_EQ(buffer.registered_index() >= 0, pool.registered());
      Op read = ReadOp(fd, buffer.data(), buffer.size(), 0);
      read.registered_buffer = buffer.registered_index();
      const int64_t n = co_await Do(read);
      EXPECT_EQ(std::string(reinterpret_cast<char*>(buffer.data()), static_cast<size_t>(n)), "pooled");
      Op write = WriteOp(fd, buffer.data(), 6, 0);
      write.registered_buffer = buffer.registered_index();
      const int64_t written = co_await Do(write);
      EXPECT_EQ(written, 6);
    }
  };
  RunOn(shard(), Test::Body(fd.get(), true));
  RunOn(shard(), Test::Body(fd.get(), false));
}

TEST_P(DriverConformanceTest, PoolGivesBuffersInTheOrderOfAsking) {
  struct Test {
    static Task<void> Take(BufferPool* pool, int id, std::vector<int>* order) {
      Buffer buffer = co_await pool->Get();
      order->push_back(id);
      co_await Yield{};
    }
    static Task<void> Body(std::vector<int>* order) {
      BufferPool pool(Shard::Current()->driver(), {.buffer_bytes = 4096, .count = 2, .try_register = false});
      Scope scope;
      for (int i = 0; i < 10; ++i) scope.Spawn(Take(&pool, i, order));
      co_await scope.Join();
    }
  };
  std::vector<int> order;
  RunOn(shard(), Test::Body(&order));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

}  // namespace
}  // namespace uringsync
