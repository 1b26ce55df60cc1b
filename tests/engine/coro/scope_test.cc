#include "engine/coro/scope.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/engine/coro/threads.h"

namespace uringsync {
namespace {

Task<void> Append(std::vector<int>* out, int value, int yields) {
  for (int i = 0; i < yields; ++i) co_await Yield{};
  out->push_back(value);
}

Task<void> SpawnThree(std::vector<int>* out) {
  Scope scope;
  scope.Spawn(Append(out, 1, 4));
  scope.Spawn(Append(out, 2, 2));
  scope.Spawn(Append(out, 3, 0));
  EXPECT_TRUE(out->empty()) << "spawn ran inline";
  co_await scope.Join();
  out->push_back(99);
}

TEST(ScopeTest, TasksRunConcurrentlyAndJoinComesLast) {
  ManualExecutor executor;
  std::vector<int> out;
  Scope outer;
  outer.SpawnOn(&executor, SpawnThree(&out));
  executor.RunUntilIdle();
  EXPECT_EQ(out, (std::vector<int>{3, 2, 1, 99}));
}

Task<void> SpawnsMore(Scope* scope, std::vector<int>* out, int left) {
  out->push_back(left);
  if (left > 0) scope->Spawn(SpawnsMore(scope, out, left - 1));
  co_return;
}

Task<void> JoinsTheGrowing(std::vector<int>* out) {
  Scope scope;
  scope.Spawn(SpawnsMore(&scope, out, 5));
  co_await scope.Join();
  out->push_back(-1);
}

TEST(ScopeTest, JoinWaitsForTasksSpawnedMeanwhile) {
  ManualExecutor executor;
  std::vector<int> out;
  Scope outer;
  outer.SpawnOn(&executor, JoinsTheGrowing(&out));
  executor.RunUntilIdle();
  EXPECT_EQ(out, (std::vector<int>{5, 4, 3, 2, 1, 0, -1}));
}

Task<void> JoinNothing(bool* done) {
  Scope scope;
  co_await scope.Join();
  *done = true;
}

TEST(ScopeTest, JoinOfAnEmptyScopeGoesOnAtOnce) {
  ManualExecutor executor;
  bool done = false;
  Scope outer;
  outer.SpawnOn(&executor, JoinNothing(&done));
  executor.RunUntilIdle();
  EXPECT_TRUE(done);
}

void LeaveScopeUnjoined() {
  ManualExecutor executor;
  Scope scope;
  std::vector<int> out;
  scope.SpawnOn(&executor, Append(&out, 1, 0));
}

TEST(ScopeDeathTest, UnjoinedScopeEndsTheProgram) {
  EXPECT_DEATH(LeaveScopeUnjoined(), "before it was joined");
}

Task<void> Add(std::atomic<int>* sum, Executor* expected) {
  EXPECT_EQ(Executor::Current(), expected);
  co_await Yield{};
  EXPECT_EQ(Executor::Current(), expected);
  sum->fetch_add(1);
}

Task<void> FanOutOver(std::vector<ThreadExecutor>* executors, std::atomic<int>* sum) {
  Executor* home = Executor::Current();
  Scope scope;
  for (int i = 0; i < 300; ++i) {
    ThreadExecutor* executor = &(*executors)[static_cast<size_t>(i) % executors->size()];
    scope.SpawnOn(executor, Add(sum, executor));
  }
  co_await scope.Join();
  EXPECT_EQ(Executor::Current(), home) << "join resumed elsewhere";
}

TEST(ScopeTest, TasksOnOtherThreadsStayThereAndJoinComesHome) {
  std::vector<ThreadExecutor> executors(3);
  std::atomic<int> sum{0};
  for (int round = 0; round < 20; ++round) BlockOn(&executors[0], FanOutOver(&executors, &sum));
  EXPECT_EQ(sum.load(), 6000);
}

Task<void> HopAround(std::vector<ThreadExecutor>* executors) {
  for (int i = 0; i < 100; ++i) {
    ThreadExecutor* next = &(*executors)[static_cast<size_t>(i) % executors->size()];
    co_await SwitchTo{next};
    EXPECT_EQ(Executor::Current(), next);
  }
}

TEST(ScopeTest, SwitchToContinuesOnTheOtherThread) {
  std::vector<ThreadExecutor> executors(2);
  BlockOn(&executors[1], HopAround(&executors));
}

}  // namespace
}  // namespace uringsync
