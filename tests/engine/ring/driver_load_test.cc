// Amounts of operations beyond the queues, and wake-ups, on both drivers.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/coro/channel.h"
#include "engine/coro/scope.h"
#include "tests/engine/ring/driver_conformance.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;

class DriverLoadTest : public DriverConformanceTest {};
US_INSTANTIATE_FOR_DRIVERS(DriverLoadTest);

Task<void> CountedNop(size_t* done) {
  co_await Do({.code = OpCode::kNop});
  ++*done;
}

TEST_P(DriverLoadTest, FarMoreOperationsThanTheRingHoldsAllComplete) {
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
TEST_P(DriverLoadTest, CompletionsBeyondTheQueueAreNotLost) {
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

TEST_P(DriverLoadTest, ManyWaitingSocketsAndTheirTimeoutsLiveSideBySide) {
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

TEST_P(DriverLoadTest, PostsOfAnotherThreadAlwaysWakeTheShard) {
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

TEST_P(DriverLoadTest, WakeBeforePollMakesItReturnAtOnce) {
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

}  // namespace
}  // namespace uringsync
