// Timers, time-outs and cancels on both drivers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/coro/scope.h"
#include "tests/engine/ring/driver_conformance.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;

class DriverTimerTest : public DriverConformanceTest {};
US_INSTANTIATE_FOR_DRIVERS(DriverTimerTest);

TEST_P(DriverTimerTest, TimeoutPassesNoEarlierThanAsked) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(Run(TimeoutOp(milliseconds(20))), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(20));
  EXPECT_EQ(Run(TimeoutOp(std::chrono::nanoseconds(0))), 0);
}

TEST_P(DriverTimerTest, TimersEndInTheOrderOfTheirDeadlines) {
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

TEST_P(DriverTimerTest, RecvThatTakesTooLongEndsWithEtime) {
  SocketPair pair = MakeSocketPair();
  char byte = 0;
  EXPECT_EQ(Run(WithTimeout(RecvOp(pair.a.get(), &byte, 1), milliseconds(5))), -ETIME);
  // The socket is as good as before.
  ASSERT_EQ(::send(pair.b.get(), "x", 1, 0), 1);
  EXPECT_EQ(Run(WithTimeout(RecvOp(pair.a.get(), &byte, 1), std::chrono::seconds(10))), 1);
}

TEST_P(DriverTimerTest, AcceptThatTakesTooLongEndsWithEtime) {
  LoopbackListener listener = MakeListener();
  EXPECT_EQ(Run(WithTimeout(AcceptOp(listener.fd.get()), milliseconds(5))), -ETIME);
}

TEST_P(DriverTimerTest, SendIntoAFullBufferEndsWithEtime) {
  SocketPair pair = MakeSocketPair();
  std::vector<char> block(1 << 20);
  while (::send(pair.a.get(), block.data(), block.size(), MSG_DONTWAIT) > 0) {
  }
  EXPECT_EQ(Run(WithTimeout(SendOp(pair.a.get(), block.data(), block.size()), milliseconds(5))), -ETIME);
}

TEST_P(DriverTimerTest, PollThatTakesTooLongEndsWithEtime) {
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

TEST_P(DriverTimerTest, CancelEndsEveryKindOfWait) {
  SocketPair pair = MakeSocketPair();
  LoopbackListener listener = MakeListener();
  char byte = 0;
  // Cancelled while still queued, just submitted, and in flight for some rounds.
  for (int yields : {0, 1, 2, 5, 400}) {
    for (Op op :
         {RecvOp(pair.a.get(), &byte, 1), AcceptOp(listener.fd.get()), PollOp(pair.a.get(), POLLIN),
          TimeoutOp(std::chrono::hours(1)), WithTimeout(RecvOp(pair.a.get(), &byte, 1), std::chrono::hours(1))}) {
      int64_t result = 0;
      RunOn(shard(), CancelAfterYields(op, yields, &result));
      EXPECT_EQ(result, -ECANCELED) << OpCodeName(op.code) << " after " << yields;
    }
  }
}

TEST_P(DriverTimerTest, CancelOfFileOperationsCompletesThemOneWayOrTheOther) {
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

TEST_P(DriverTimerTest, DataThatRacesACancelIsReceivedOrStaysInTheSocket) {
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

}  // namespace
}  // namespace uringsync
