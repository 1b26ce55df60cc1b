#include "engine/coro/semaphore.h"

#include <gtest/gtest.h>

#include <atomic>
#include <utility>
#include <vector>

#include "engine/coro/scope.h"
#include "tests/engine/coro/threads.h"

namespace uringsync {
namespace {

Task<void> TakeAndNote(Semaphore* semaphore, size_t units, int id, std::vector<int>* order) {
  SemaphoreUnits held = co_await semaphore->Acquire(units);
  order->push_back(id);
  co_await Yield{};
  co_await Yield{};
}

TEST(SemaphoreTest, LargeRequestIsNotOvertakenBySmallOnes) {
  ManualExecutor executor;
  Semaphore semaphore(4);
  std::vector<int> order;
  Scope scope;
  scope.SpawnOn(&executor, TakeAndNote(&semaphore, 3, 0, &order));
  scope.SpawnOn(&executor, TakeAndNote(&semaphore, 4, 1, &order));  // must wait for 0
  scope.SpawnOn(&executor, TakeAndNote(&semaphore, 1, 2, &order));  // would fit, but came after 1
  executor.RunUntilIdle();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(semaphore.available(), 4U);
}

TEST(SemaphoreTest, OversizedRequestIsCutToTheCapacityAndRunsAlone) {
  ManualExecutor executor;
  Semaphore semaphore(2);
  std::vector<int> order;
  Scope scope;
  scope.SpawnOn(&executor, TakeAndNote(&semaphore, 100, 0, &order));
  scope.SpawnOn(&executor, TakeAndNote(&semaphore, 1, 1, &order));
  executor.RunUntilIdle();
  EXPECT_EQ(order, (std::vector<int>{0, 1}));
  EXPECT_EQ(semaphore.available(), 2U);
}

TEST(SemaphoreTest, TryAcquireTakesOnlyWhatIsFree) {
  Semaphore semaphore(2);
  SemaphoreUnits a;
  SemaphoreUnits b;
  EXPECT_TRUE(semaphore.TryAcquire(2, &a));
  EXPECT_FALSE(semaphore.TryAcquire(1, &b));
  SemaphoreUnits moved = std::move(a);
  EXPECT_EQ(semaphore.available(), 0U);
  moved = SemaphoreUnits();
  EXPECT_TRUE(semaphore.TryAcquire(1, &b));
  EXPECT_EQ(b.units(), 1U);
}

struct Gauge {
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  std::atomic<int> total{0};
};

Task<void> Bounded(Semaphore* semaphore, Gauge* gauge) {
  SemaphoreUnits held = co_await semaphore->Acquire(1);
  const int now = gauge->now.fetch_add(1) + 1;
  int most = gauge->most.load();
  while (now > most && !gauge->most.compare_exchange_weak(most, now)) {
  }
  co_await Yield{};
  gauge->now.fetch_sub(1);
  gauge->total.fetch_add(1);
}

Task<void> SpawnBounded(std::vector<ThreadExecutor>* executors, Semaphore* semaphore, Gauge* gauge) {
  Scope scope;
  for (int i = 0; i < 2000; ++i)
    scope.SpawnOn(&(*executors)[static_cast<size_t>(i) % executors->size()], Bounded(semaphore, gauge));
  co_await scope.Join();
}

TEST(SemaphoreTest, BoundHoldsAcrossThreads) {
  std::vector<ThreadExecutor> executors(3);
  Semaphore semaphore(5);
  Gauge gauge;
  BlockOn(&executors[0], SpawnBounded(&executors, &semaphore, &gauge));
  EXPECT_EQ(gauge.total.load(), 2000);
  EXPECT_LE(gauge.most.load(), 5);
  EXPECT_EQ(semaphore.available(), 5U);
}

}  // namespace
}  // namespace uringsync
