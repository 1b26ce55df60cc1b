#include "engine/coro/channel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/coro/scope.h"
#include "tests/engine/coro/threads.h"

namespace uringsync {
namespace {

Task<void> SendRange(Channel<std::unique_ptr<int>>* channel, int begin, int end) {
  for (int i = begin; i < end; ++i) {
    const bool sent = co_await channel->Send(std::make_unique<int>(i));
    EXPECT_TRUE(sent);
  }
}

Task<void> ReceiveAll(Channel<std::unique_ptr<int>>* channel, std::vector<int>* out) {
  while (true) {
    std::optional<std::unique_ptr<int>> value = co_await channel->Receive();
    if (!value.has_value()) co_return;
    out->push_back(**value);
  }
}

Task<void> CloseAfter(Scope* senders, Channel<std::unique_ptr<int>>* channel) {
  co_await senders->Join();
  channel->Close();
}

TEST(ChannelTest, OrderIsKeptThroughABoundSmallerThanTheTraffic) {
  ManualExecutor executor;
  Channel<std::unique_ptr<int>> channel(2);
  std::vector<int> out;
  Scope senders;
  Scope scope;
  senders.SpawnOn(&executor, SendRange(&channel, 0, 100));
  scope.SpawnOn(&executor, ReceiveAll(&channel, &out));
  scope.SpawnOn(&executor, CloseAfter(&senders, &channel));
  executor.RunUntilIdle();
  ASSERT_EQ(out.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], i);
}

TEST(ChannelTest, SendWaitsWhenFullAndGoesOnWhenThereIsRoom) {
  ManualExecutor executor;
  Channel<std::unique_ptr<int>> channel(2);
  Scope scope;
  scope.SpawnOn(&executor, SendRange(&channel, 0, 5));
  executor.RunUntilIdle();
  EXPECT_EQ(channel.size(), 2U);
  EXPECT_EQ(scope.running(), 1U);
  for (int i = 0; i < 5; ++i) {
    std::optional<std::unique_ptr<int>> value = channel.TryReceive();
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(**value, i);
    executor.RunUntilIdle();
  }
  EXPECT_FALSE(channel.TryReceive().has_value());
  EXPECT_EQ(scope.running(), 0U);
}

Task<void> SendOne(Channel<int>* channel, int value, std::optional<bool>* sent) {
  *sent = co_await channel->Send(value);
}

Task<void> ReceiveOne(Channel<int>* channel, std::vector<std::optional<int>>* out) {
  out->push_back(co_await channel->Receive());
}

TEST(ChannelTest, CloseFailsWaitingSendersAndLetsReceiversDrain) {
  ManualExecutor executor;
  Channel<int> channel(1);
  std::optional<bool> first;
  std::optional<bool> second;
  std::optional<bool> late;
  std::vector<std::optional<int>> got;
  Scope scope;
  scope.SpawnOn(&executor, SendOne(&channel, 1, &first));
  scope.SpawnOn(&executor, SendOne(&channel, 2, &second));
  executor.RunUntilIdle();
  channel.Close();
  channel.Close();
  EXPECT_TRUE(channel.closed());
  scope.SpawnOn(&executor, SendOne(&channel, 3, &late));
  scope.SpawnOn(&executor, ReceiveOne(&channel, &got));
  scope.SpawnOn(&executor, ReceiveOne(&channel, &got));
  executor.RunUntilIdle();
  EXPECT_EQ(first, true);
  EXPECT_EQ(second, false);
  EXPECT_EQ(late, false);
  EXPECT_EQ(got, (std::vector<std::optional<int>>{1, std::nullopt}));
  int value = 4;
  EXPECT_FALSE(channel.TrySend(&value));
}

TEST(ChannelTest, CloseWakesWaitingReceivers) {
  ManualExecutor executor;
  Channel<int> channel(1);
  std::vector<std::optional<int>> got;
  Scope scope;
  scope.SpawnOn(&executor, ReceiveOne(&channel, &got));
  scope.SpawnOn(&executor, ReceiveOne(&channel, &got));
  executor.RunUntilIdle();
  EXPECT_TRUE(got.empty());
  channel.Close();
  executor.RunUntilIdle();
  EXPECT_EQ(got.size(), 2U);
}

TEST(ChannelTest, ReceiversAreServedFirstComeFirstServed) {
  ManualExecutor executor;
  Channel<int> channel(1);
  std::vector<std::optional<int>> first;
  std::vector<std::optional<int>> second;
  Scope scope;
  scope.SpawnOn(&executor, ReceiveOne(&channel, &first));
  scope.SpawnOn(&executor, ReceiveOne(&channel, &second));
  executor.RunUntilIdle();
  int value = 10;
  EXPECT_TRUE(channel.TrySend(&value));
  value = 20;
  EXPECT_TRUE(channel.TrySend(&value));
  executor.RunUntilIdle();
  EXPECT_EQ(first.front(), 10);
  EXPECT_EQ(second.front(), 20);
}

Task<void> SendNumbers(Channel<int>* channel, int count) {
  for (int i = 0; i < count; ++i) {
    const bool sent = co_await channel->Send(1);
    EXPECT_TRUE(sent);
  }
}

Task<void> SumNumbers(Channel<int>* channel, std::atomic<int>* sum) {
  while (true) {
    std::optional<int> value = co_await channel->Receive();
    if (!value.has_value()) co_return;
    sum->fetch_add(*value);
  }
}

Task<void> ManyToMany(std::vector<ThreadExecutor>* executors, Channel<int>* channel, std::atomic<int>* sum) {
  Scope receivers;
  Scope senders;
  for (size_t i = 0; i < 6; ++i) {
    receivers.SpawnOn(&(*executors)[i % executors->size()], SumNumbers(channel, sum));
    senders.SpawnOn(&(*executors)[(i + 1) % executors->size()], SendNumbers(channel, 1000));
  }
  co_await senders.Join();
  channel->Close();
  co_await receivers.Join();
}

TEST(ChannelTest, ManySendersAndReceiversOnManyThreadsLoseNothing) {
  for (size_t capacity : {1, 7, 100}) {
    std::vector<ThreadExecutor> executors(3);
    Channel<int> channel(capacity);
    std::atomic<int> sum{0};
    BlockOn(&executors[0], ManyToMany(&executors, &channel, &sum));
    EXPECT_EQ(sum.load(), 6000);
  }
}

TEST(ChannelTest, PlainThreadsBlockOnBothEnds) {
  ThreadExecutor executor;
  Channel<int> to(2);
  Channel<int> from(2);
  struct Test {
    static Task<void> Echo(Channel<int>* to, Channel<int>* from) {
      while (true) {
        std::optional<int> value = co_await to->Receive();
        if (!value.has_value()) break;
        co_await from->Send(*value * 2);
      }
      from->Close();
    }
  };
  std::thread sender([&to] {
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(to.BlockingSend(i));
    to.Close();
    EXPECT_FALSE(to.BlockingSend(0));
  });
  int count = 0;
  std::thread receiver([&from, &count] {
    while (std::optional<int> value = from.BlockingReceive()) EXPECT_EQ(*value, 2 * count++);
  });
  BlockOn(&executor, Test::Echo(&to, &from));
  sender.join();
  receiver.join();
  EXPECT_EQ(count, 1000);
}

TEST(ChannelTest, CloseReleasesBlockedThreads) {
  Channel<int> channel(1);
  EXPECT_TRUE(channel.BlockingSend(1));
  std::thread sender([&channel] { EXPECT_FALSE(channel.BlockingSend(2)); });
  channel.Close();
  sender.join();
  EXPECT_EQ(channel.BlockingReceive(), 1);
  EXPECT_EQ(channel.BlockingReceive(), std::nullopt);
}

}  // namespace
}  // namespace uringsync
