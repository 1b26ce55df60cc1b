#include "engine/coro/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/executor.h"
#include "engine/coro/scope.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

Task<int> Half(int n) {
  co_return n / 2;
}

Task<std::unique_ptr<int>> MoveOnly(int n) {
  const int half = co_await Half(n);
  co_return std::make_unique<int>(half);
}

Task<absl::StatusOr<int>> Fails() {
  co_return absl::NotFoundError("no");
}

Task<absl::StatusOr<int>> PassesOn(bool fail) {
  if (fail) {
    US_CO_ASSIGN_OR_RETURN(const int value, co_await Fails());
    co_return value;
  }
  US_CO_RETURN_IF_ERROR(absl::OkStatus());
  co_return 5;
}

template <typename T>
Task<void> Keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

template <typename T>
T RunHere(Task<T> task) {
  ManualExecutor executor;
  std::optional<T> out;
  Scope scope;
  scope.SpawnOn(&executor, Keep(std::move(task), &out));
  executor.RunUntilIdle();
  EXPECT_EQ(scope.running(), 0U);
  return *std::move(out);
}

TEST(TaskTest, ValuesComeBack) {
  EXPECT_EQ(RunHere(Half(10)), 5);
  EXPECT_EQ(*RunHere(MoveOnly(8)), 4);
}

TEST(TaskTest, MacrosReturnOutOfCoroutines) {
  EXPECT_THAT(RunHere(PassesOn(true)), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(RunHere(PassesOn(false)), IsOkAndHolds(5));
}

Task<void> SetWhenRun(bool* ran) {
  *ran = true;
  co_return;
}

TEST(TaskTest, NothingRunsBeforeTheAwait) {
  bool ran = false;
  {
    Task<void> task = SetWhenRun(&ran);
  }
  EXPECT_FALSE(ran);
}

Task<void> HoldsArgument(std::shared_ptr<int> argument) {
  EXPECT_EQ(*argument, 3);
  co_return;
}

TEST(TaskTest, ArgumentsDieWithTheTaskWhetherItRanOrNot) {
  auto argument = std::make_shared<int>(3);
  {
    Task<void> never = HoldsArgument(argument);
  }
  EXPECT_EQ(argument.use_count(), 1);
  ManualExecutor executor;
  Scope scope;
  scope.SpawnOn(&executor, HoldsArgument(argument));
  executor.RunUntilIdle();
  EXPECT_EQ(argument.use_count(), 1);
}

Task<int> CountDown(int n) {
  if (n == 0) co_return 0;
  const int below = co_await CountDown(n - 1);
  co_return below + 1;
}

TEST(TaskTest, DeepChainsResumeWithoutGrowingTheStack) {
  EXPECT_EQ(RunHere(CountDown(2000)), 2000);
}

Task<int> SumOfMany(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += co_await Half(2);
  co_return sum;
}

TEST(TaskTest, MillionsOfAwaitsThatCompleteAtOnceDoNotOverflow) {
  EXPECT_EQ(RunHere(SumOfMany(300000)), 300000);
}

Task<void> Forever(Executor*) {
  co_await std::suspend_always{};
}

void DestroyRunning() {
  Task<void> task = Forever(nullptr);
  auto awaiter = std::move(task).operator co_await();
  awaiter.await_suspend(std::noop_coroutine()).resume();
}

TEST(TaskDeathTest, RunningTaskMustNotBeDestroyed) {
  EXPECT_DEATH(DestroyRunning(), "running Task was destroyed");
}

}  // namespace
}  // namespace uringsync
