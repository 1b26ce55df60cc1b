#include "engine/delta/decision.h"

#include <gtest/gtest.h>

#include "engine/delta/chunk_index.h"

namespace uringsync {
namespace {

TEST(DecisionTest, SmallFilesAndAnEmptyOldFileAreSentWhole) {
  EXPECT_FALSE(MayUseDelta(DeltaPolicy::kAuto, kMinDeltaBytes, uint64_t{1} << 30));
  EXPECT_FALSE(MayUseDelta(DeltaPolicy::kAuto, uint64_t{1} << 30, 0));
  EXPECT_TRUE(MayUseDelta(DeltaPolicy::kAuto, uint64_t{1} << 30, uint64_t{1} << 30));
  EXPECT_TRUE(MayUseDelta(DeltaPolicy::kForce, 100 << 10, 100 << 10));
  EXPECT_FALSE(MayUseDelta(DeltaPolicy::kForce, 100 << 10, 0));
  EXPECT_FALSE(MayUseDelta(DeltaPolicy::kOff, uint64_t{1} << 30, uint64_t{1} << 30));
}

TEST(DecisionTest, SamplesCoverTheFileFromFirstToLast) {
  for (uint64_t size :
       {uint64_t{0}, uint64_t{100}, uint64_t{16} << 10, uint64_t{50} << 10, uint64_t{2} << 30, uint64_t{1} << 62}) {
    const std::vector<uint64_t> offsets = SampleOffsets(size, kSampleBlockBytes);
    EXPECT_LE(offsets.size(), kMaxSamples);
    for (size_t i = 0; i < offsets.size(); ++i) {
      EXPECT_LE(offsets[i] + kSampleBlockBytes, size);
      if (i > 0) EXPECT_GT(offsets[i], offsets[i - 1]);
    }
    if (size >= kSampleBlockBytes) EXPECT_EQ(offsets.front(), 0u);
    if (size >= 2 * kSampleBlockBytes) EXPECT_GT(offsets.back() + 2 * kSampleBlockBytes, size);
  }
}

TEST(DecisionTest, TheModeFollowsTheSamples) {
  EXPECT_EQ(ChooseMode({16, 15, 0}), DeltaMode::kInPlace);
  EXPECT_EQ(ChooseMode({16, 4, 0}), DeltaMode::kInPlace);
  EXPECT_EQ(ChooseMode({16, 3, 0}), DeltaMode::kTryChunks);
  EXPECT_EQ(ChooseMode({16, 8, 8}), DeltaMode::kChunks);
  EXPECT_EQ(ChooseMode({16, 0, 1}), DeltaMode::kChunks);
  EXPECT_EQ(ChooseMode({16, 8, 8, true}), DeltaMode::kShifted);
  EXPECT_EQ(ChooseMode({16, 0, 12, true}), DeltaMode::kShifted);
  EXPECT_EQ(ChooseMode({16, 0, 11, true}), DeltaMode::kChunks) << "too much of it is neither here nor there";
  EXPECT_EQ(ChooseMode({16, 0, 0}), DeltaMode::kTryChunks);
  EXPECT_EQ(ChooseMode({}), DeltaMode::kTryChunks);
  EXPECT_FALSE(EnoughMatches(0, 0));
  EXPECT_FALSE(EnoughMatches(9, 100));
  EXPECT_TRUE(EnoughMatches(10, 100));
}

TEST(DecisionTest, ADeltaPaysOnSlowLinksOnly) {
  EXPECT_FALSE(DeltaPays({0, 1e9, 1})) << "nothing is known of the link";
  EXPECT_TRUE(DeltaPays({12e6, 0, 1})) << "100 Mbit/s";
  EXPECT_TRUE(DeltaPays({120e6, 600e6, 0.9}));
  EXPECT_FALSE(DeltaPays({1.2e9, 600e6, 1})) << "the link is faster than reading both sides";
  EXPECT_FALSE(DeltaPays({550e6, 600e6, 1})) << "too close to cost two CPUs";
  EXPECT_FALSE(DeltaPays({12e6, 600e6, 0.1})) << "nearly all of it has to be sent anyway";
}

TEST(ChunkIndexTest, FindsByLengthAndDigest) {
  ChunkIndex index;
  for (uint64_t i = 1; i <= 5000; ++i) ASSERT_TRUE(index.Add({static_cast<uint32_t>(i), i * 31}, i * 1000));
  for (uint64_t i = 1; i <= 5000; ++i) EXPECT_EQ(index.Find({static_cast<uint32_t>(i), i * 31}), i * 1000);
  EXPECT_EQ(index.Find({7, 31}), std::nullopt);
  EXPECT_EQ(index.Find({9999, 1}), std::nullopt);
  EXPECT_TRUE(index.Add({1, 31}, 777777)) << "a second one like it";
  EXPECT_EQ(index.Find({1, 31}), 1000u);
}

TEST(ChunkIndexTest, HasABound) {
  ChunkIndex index;
  for (uint64_t i = 0; i < kMaxIndexedChunks; ++i) ASSERT_TRUE(index.Add({1, i}, i));
  EXPECT_FALSE(index.Add({2, 1}, 1));
  EXPECT_EQ(index.size(), kMaxIndexedChunks);
  EXPECT_FALSE(ChunkIndex().Add({1, 1}, kMaxIndexedFile));
}

TEST(CopyPlanTest, JoinsNeighboursAndDropsWhatLiesDouble) {
  ChunkIndex index;
  index.Add({100, 1}, 1000);
  index.Add({200, 2}, 1100);
  index.Add({50, 3}, 9000);
  CopyPlan plan;
  const std::vector<Chunk> second = {{200, 2}, {70, 99}, {50, 3}};
  const std::vector<Chunk> first = {{100, 1}, {200, 2}};
  plan.Add(second, 600, index);
  plan.Add(first, 500, index);
  plan.Finish();
  EXPECT_EQ(plan.runs(), (std::vector<CopyRun>{{500, 300, 1000}, {870, 50, 9000}}));
  EXPECT_EQ(plan.matched_bytes(), 350u);
  EXPECT_EQ(plan.Within(550, 100), (std::vector<CopyRun>{{550, 100, 1050}}));
  EXPECT_EQ(plan.Within(790, 90), (std::vector<CopyRun>{{790, 10, 1290}, {870, 10, 9000}}));
  EXPECT_TRUE(plan.Within(800, 70).empty());
}

TEST(CopyPlanTest, CutsARunThatOverlapsTheOneBefore) {
  ChunkIndex index;
  index.Add({100, 1}, 0);
  index.Add({100, 2}, 5000);
  CopyPlan plan;
  plan.Add(std::vector<Chunk>{{100, 1}}, 0, index);
  plan.Add(std::vector<Chunk>{{100, 2}}, 40, index);
  plan.Finish();
  EXPECT_EQ(plan.runs(), (std::vector<CopyRun>{{0, 100, 0}, {100, 40, 5060}}));
}

}  // namespace
}  // namespace uringsync
