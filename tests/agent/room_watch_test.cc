#include "agent/room_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

#include "engine/base/unique_fd.h"
#include "tests/support/run_on.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

constexpr uint64_t kSmall = 1000;
constexpr uint64_t kTooLarge = uint64_t{1} << 60;

class RoomWatchTest : public testing::Test {
 protected:
  RoomWatchTest() : directory_(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}

  int Begin(uint64_t size_bytes, int tries, RoomWatch::Filling* filling) {
    return RunOn(shard(), room_.Begin(shard().driver(), directory_.get(), size_bytes, tries, filling));
  }
  bool Judge(int error, int tries, const RoomWatch::Filling& ended) {
    return RunOn(shard(), room_.Judge(shard().driver(), directory_.get(), error, tries, ended));
  }
  // After a first refusal.
  void Tighten() {
    RoomWatch::Filling filling;
    ASSERT_EQ(Begin(kSmall, 1, &filling), 0);
    filling.End(/*whole=*/false);
    ASSERT_TRUE(Judge(ENOSPC, 1, filling));
  }
  Shard& shard() { return runtime_->shard(0); }

  TempDir dir_;
  UniqueFd directory_;
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime();
  ReceiveShared receive_{ReceiveOptions()};
  RoomWatch room_{&receive_};
};

TEST_F(RoomWatchTest, NothingIsLookedAtBeforeTheFirstRefusal) {
  RoomWatch::Filling filling;
  EXPECT_EQ(Begin(kTooLarge, 1, &filling), 0);
}

TEST_F(RoomWatchTest, WhatNoFileSystemHoldsFailsWithoutATryAndEndsNothing) {
  Tighten();
  RoomWatch::Filling filling;
  EXPECT_EQ(Begin(kTooLarge, 1, &filling), ENOSPC);
  EXPECT_EQ(receive_.full(), 0);
  EXPECT_EQ(Begin(kSmall, 1, &filling), 0);
}

TEST_F(RoomWatchTest, AFileThatWasRefusedWaitsForThoseUnderWay) {
  RoomWatch::Filling large;
  ASSERT_EQ(Begin(kTooLarge, 1, &large), 0);
  Tighten();
  const auto start = std::chrono::steady_clock::now();
  std::thread end([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    large.End(/*whole=*/false);
  });
  RoomWatch::Filling filling;
  EXPECT_EQ(Begin(kSmall, 2, &filling), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(200));
  end.join();
}

TEST_F(RoomWatchTest, ItBeginsBesideThoseThatTakeLongWhereThereIsRoom) {
  RoomWatch::Filling large;
  ASSERT_EQ(Begin(kTooLarge, 1, &large), 0);
  Tighten();
  RoomWatch::Filling filling;
  EXPECT_EQ(Begin(kSmall, 2, &filling), 0);
}

TEST_F(RoomWatchTest, RefusalsThatNothingExplainsEndAllWriting) {
  Tighten();
  int tries = 0;
  for (; receive_.full() == 0 && tries < 1000; ++tries) {
    RoomWatch::Filling filling;
    ASSERT_EQ(Begin(kSmall, 2, &filling), 0);
    filling.End(/*whole=*/false);
    // The last try of each: no pauses.
    EXPECT_FALSE(Judge(ENOSPC, RoomWatch::kMaxTries, filling));
  }
  EXPECT_EQ(receive_.full(), ENOSPC);
  EXPECT_EQ(tries, RoomWatch::kMaxRefusals);
  RoomWatch::Filling filling;
  EXPECT_EQ(Begin(kSmall, 1, &filling), ENOSPC);
  room_.Reset();
  EXPECT_EQ(Begin(kSmall, 1, &filling), 0);
}

TEST_F(RoomWatchTest, OneThatComesThroughBetweenThemStartsTheCountAnew) {
  Tighten();
  for (int tries = 0; tries < 3 * RoomWatch::kMaxRefusals; ++tries) {
    RoomWatch::Filling filling;
    ASSERT_EQ(Begin(kSmall, 2, &filling), 0);
    const bool whole = tries % 20 == 0;
    filling.End(whole);
    if (!whole) EXPECT_FALSE(Judge(ENOSPC, RoomWatch::kMaxTries, filling));
  }
  EXPECT_EQ(receive_.full(), 0);
}

TEST_F(RoomWatchTest, AQuotaThatRefusesAFileRefusesLargerOnesWithoutATry) {
  Tighten();
  RoomWatch::Filling filling;
  ASSERT_EQ(Begin(kSmall, 2, &filling), 0);
  filling.End(/*whole=*/false);
  EXPECT_FALSE(Judge(EDQUOT, RoomWatch::kMaxTries, filling));
  EXPECT_EQ(Begin(kSmall + 1, 1, &filling), EDQUOT);
  EXPECT_EQ(Begin(kSmall - 1, 1, &filling), 0);
}

TEST_F(RoomWatchTest, NobodyWaitsInASessionThatStops) {
  Tighten();
  receive_.Stop();
  RoomWatch::Filling filling;
  EXPECT_EQ(Begin(kSmall, 1, &filling), ECANCELED);
}

}  // namespace
}  // namespace uringsync
