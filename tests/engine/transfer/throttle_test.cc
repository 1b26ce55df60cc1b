#include "engine/transfer/throttle.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/support/run_on.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

double Seconds(nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

TEST(TokenBucketTest, TheRateIsExactOverALongTimeWhateverTheSizes) {
  for (const uint64_t rate : {uint64_t{1}, uint64_t{1024}, uint64_t{1000003}, uint64_t{1} << 40}) {
    std::mt19937_64 random(rate);
    nanoseconds now = seconds(5);
    TokenBucket bucket(rate, now);
    const nanoseconds begin = now;
    uint64_t total = 0;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t bytes = random() % (1 << 20);
      now += bucket.Take(bytes, now);
      total += bytes;
    }
    now += bucket.Take(0, now);  // until the last one has passed
    EXPECT_NEAR(Seconds(now - begin), static_cast<double>(total) / static_cast<double>(rate),
                0.001 * static_cast<double>(total) / static_cast<double>(rate) + 1e-6)
        << rate;
  }
}

TEST(TokenBucketTest, SeveralTakersShareOneRate) {
  nanoseconds now = seconds(5);
  TokenBucket bucket(1000, now);
  EXPECT_EQ(bucket.Take(500, now).count(), 0);
  EXPECT_EQ(bucket.Take(500, now), milliseconds(500));
  EXPECT_EQ(bucket.Take(500, now), seconds(1));
  now += seconds(1);
  EXPECT_EQ(bucket.Take(500, now), milliseconds(500));
}

TEST(TokenBucketTest, IdleTimeSavesUpOneBurstAndNoMore) {
  nanoseconds now = seconds(5);
  TokenBucket bucket(1000, now);
  now += seconds(3600);
  EXPECT_EQ(bucket.Take(100, now).count(), 0);
  EXPECT_EQ(bucket.Take(100, now).count(), 0) << "a burst is a tenth of a second";
  EXPECT_EQ(bucket.Take(100, now), milliseconds(100));
}

TEST(ThrottleTest, UnitsShrinkWithTheRateWithinTheirBounds) {
  EXPECT_EQ(Throttle(1).unit_bytes(), Throttle::kLeastUnit);
  EXPECT_EQ(Throttle(1 << 20).unit_bytes(), 128u << 10);
  EXPECT_EQ(Throttle(uint64_t{1} << 40).unit_bytes(), Throttle::kLargestUnit);
}

TEST(ThrottleTest, StoppingEndsAWaitOfHours) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  Throttle throttle(1);
  Shard& shard = runtime->shard(0);
  RunOn(shard, throttle.Take(shard.driver(), 1 << 20));  // at once: the bucket was even
  std::thread stopper([&throttle] { throttle.Stop(); });
  RunOn(shard, throttle.Take(shard.driver(), 1));
  stopper.join();
}

}  // namespace
}  // namespace uringsync
