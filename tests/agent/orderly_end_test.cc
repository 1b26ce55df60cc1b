#include "agent/orderly_end.h"

#include <gtest/gtest.h>

#include <utility>

#include "agent/timed_dial.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A connection whose peer reads nothing any more: neither an answer nor the end of what is sent comes before Close.
class DeafChannel final : public RequestChannel {
 public:
  DeafChannel(bool* closed, bool deaf) : closed_(closed), deaf_(deaf) {}
  Task<absl::Status> Send(RequestMessage) override { co_return absl::OkStatus(); }
  Task<absl::StatusOr<ReplyMessage>> Receive() override {
    co_await Until{&receiver_, this};
    co_return absl::UnavailableError("closed");
  }
  Task<absl::Status> End() override {
    if (deaf_) co_await Until{&ender_, this};
    co_return absl::OkStatus();
  }
  void Close() override {
    *closed_ = true;
    for (std::coroutine_handle<>* waiter : {&receiver_, &ender_}) {
      if (*waiter) Executor::Current()->Post(std::exchange(*waiter, nullptr));
    }
  }
  uint64_t wire_bytes() const override { return 0; }

 private:
  struct Until {
    std::coroutine_handle<>* slot;
    const DeafChannel* channel;
    bool await_ready() const noexcept { return *channel->closed_; }
    void await_suspend(std::coroutine_handle<> handle) const { *slot = handle; }
    void await_resume() const noexcept {}
  };
  bool* const closed_;
  const bool deaf_;
  std::coroutine_handle<> receiver_;
  std::coroutine_handle<> ender_;
};

Task<void> RunChannel(RemoteContentSource* source, std::unique_ptr<RequestChannel> channel) {
  static_cast<void>(co_await source->Run(std::move(channel)));
}

Task<std::chrono::nanoseconds> EndWith(bool deaf, milliseconds limit, bool* closed) {
  RemoteContentSource source(Executor::Current());
  Scope channels;
  channels.Spawn(RunChannel(&source, std::make_unique<DeafChannel>(closed, deaf)));
  // A connection that has not begun is no connection to end.
  const absl::Status usable = co_await source.WaitUsable();
  EXPECT_OK(usable);
  const auto begin = std::chrono::steady_clock::now();
  co_await EndOrderly(&source, limit);
  const auto took = std::chrono::steady_clock::now() - begin;
  co_await channels.Join();
  co_return took;
}

TEST(OrderlyEndTest, ASourceThatReadsNothingIsCutOffAtTheLimit) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  bool closed = false;
  const std::chrono::nanoseconds took = RunOn(runtime->shard(0), EndWith(/*deaf=*/true, milliseconds(50), &closed));
  EXPECT_TRUE(closed);
  EXPECT_GE(took, milliseconds(50));
  EXPECT_LT(took, seconds(20));
}

TEST(OrderlyEndTest, ASourceThatTakesTheEndIsNotWaitedFor) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  bool closed = false;
  EXPECT_LT(RunOn(runtime->shard(0), EndWith(/*deaf=*/false, std::chrono::hours(1), &closed)), seconds(60));
}

Task<void> EndWithoutConnections() {
  RemoteContentSource source(Executor::Current());
  co_await EndOrderly(&source, std::chrono::hours(1));
}

TEST(OrderlyEndTest, AShardWithoutConnectionsEndsAtOnce) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  const auto begin = std::chrono::steady_clock::now();
  RunOn(runtime->shard(0), EndWithoutConnections());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(60));
}

Task<absl::StatusOr<std::unique_ptr<RequestChannel>>> FailAtOnce(Driver*, DataDial) {
  co_return absl::InvalidArgumentError("no such thing");
}

Task<absl::Status> DialInVain() {
  DataDial dial;
  dial.host = "nowhere";
  auto channel = co_await DialWithin(Shard::Current()->driver(), std::move(dial), std::chrono::hours(1), FailAtOnce);
  co_return channel.status();
}

TEST(TimedDialTest, ADialThatFailsAtOnceIsNotHeldUpByItsTimer) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(absl::IsInvalidArgument(RunOn(runtime->shard(0), DialInVain())));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(60));
}

TEST(OrderlyEndTest, TheLimitOfASessionIsSeconds) {
  EXPECT_EQ(kOrderlyEnd, seconds(5));
}

}  // namespace
}  // namespace uringsync
