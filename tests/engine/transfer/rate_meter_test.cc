#include "engine/transfer/rate_meter.h"

#include <gtest/gtest.h>

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kMib = uint64_t{1} << 20;

class RateMeterTest : public testing::Test {
 protected:
  // One transfer of `bytes` that took `time`; the clock stands at its end.
  void Transfer(uint64_t bytes, milliseconds time) {
    meter_.Begin(now_);
    now_ += time;
    meter_.End(bytes, now_);
  }
  RateMeter meter_;
  RateMeter::Clock::time_point now_{seconds(1000)};
};

TEST_F(RateMeterTest, NothingIsKnownBeforeEnoughHasMoved) {
  EXPECT_EQ(meter_.rate(), 0);
  Transfer(RateMeter::kEnoughBytes - 1, seconds(1));
  EXPECT_EQ(meter_.rate(), 0);
  Transfer(1, seconds(1));
  EXPECT_DOUBLE_EQ(meter_.rate(), static_cast<double>(RateMeter::kEnoughBytes) / 2);
}

TEST_F(RateMeterTest, PausesDoNotCount) {
  Transfer(10 * kMib, seconds(1));
  now_ += seconds(3600);
  Transfer(10 * kMib, seconds(1));
  EXPECT_DOUBLE_EQ(meter_.rate(), 10.0 * kMib);
}

TEST_F(RateMeterTest, TransfersAtOnceShareTheTime) {
  meter_.Begin(now_);
  meter_.Begin(now_ + seconds(1));
  meter_.End(30 * kMib, now_ + seconds(2));
  meter_.End(10 * kMib, now_ + seconds(4));
  EXPECT_DOUBLE_EQ(meter_.rate(), 10.0 * kMib);
}

TEST_F(RateMeterTest, AFailedTransferCostsTimeAndMovesNothing) {
  Transfer(10 * kMib, seconds(1));
  Transfer(0, seconds(1));
  EXPECT_DOUBLE_EQ(meter_.rate(), 5.0 * kMib);
}

TEST_F(RateMeterTest, BytesWithoutTimeAreNoRate) {
  Transfer(10 * kMib, milliseconds(0));
  EXPECT_EQ(meter_.rate(), 0);
}

TEST_F(RateMeterTest, TheRecentPastCountsMore) {
  // A slow link for a while, then one of ten times the speed.
  for (int i = 0; i < 100; ++i) Transfer(100 * kMib, seconds(10));
  EXPECT_NEAR(meter_.rate(), 10.0 * kMib, 0.01 * kMib);
  for (int i = 0; i < 40; ++i) Transfer(100 * kMib, seconds(1));
  EXPECT_NEAR(meter_.rate(), 100.0 * kMib, kMib);
}

}  // namespace
}  // namespace uringsync
