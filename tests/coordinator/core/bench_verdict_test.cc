#include "coordinator/core/bench_verdict.h"

#include <gmock/gmock.h>

#include <set>

namespace uringsync {
namespace {

using testing::HasSubstr;

constexpr uint64_t kSecond = 1'000'000'000;

class BenchVerdictTest : public testing::Test {
 protected:
  BenchVerdictTest() { outcome_.one_agent = false; }
  // Objects, bytes and the share of a core that one second of it takes; agents have one core.
  void Add(Side side, BenchMetric metric, uint64_t count, uint64_t bytes, double cpu = 0.1) {
    MeasuredStep step;
    step.side = side;
    step.report.cores = 1;
    step.report.figures.push_back({.metric = metric,
                                   .count = count,
                                   .bytes = bytes,
                                   .elapsed_ns = kSecond,
                                   .cpu_ns = static_cast<uint64_t>(cpu * kSecond)});
    outcome_.steps.push_back(step);
  }
  void AddEverything() {
    Add(Side::kSource, BenchMetric::kScanned, 100'000, 0);
    Add(Side::kDestination, BenchMetric::kScanned, 80'000, 0);
    Add(Side::kSource, BenchMetric::kReadLarge, 10, 2'000'000'000);
    Add(Side::kSource, BenchMetric::kReadSmall, 50'000, 200'000'000);
    Add(Side::kDestination, BenchMetric::kRoundTrip, 1000, 0);
    Add(Side::kDestination, BenchMetric::kFetched, 100, 110'000'000);
    Add(Side::kDestination, BenchMetric::kFetchedSmall, 20'000, 80'000'000);
    Add(Side::kSource, BenchMetric::kServed, 0, 0);
    Add(Side::kDestination, BenchMetric::kWritten, 2, 1'000'000'000);
    Add(Side::kDestination, BenchMetric::kWrittenSynced, 2, 500'000'000);
    Add(Side::kDestination, BenchMetric::kCreated, 30'000, 0);
    Add(Side::kDestination, BenchMetric::kSyncedFiles, 4'000, 0);
  }
  BenchVerdict Verdict(BenchWorkload workload) {
    for (const BenchVerdict& verdict : JudgeBenchmark(outcome_)) {
      if (verdict.workload == workload) return verdict;
    }
    ADD_FAILURE() << "no verdict for " << BenchWorkloadName(workload);
    return {};
  }
  BenchOutcome outcome_;
};

TEST_F(BenchVerdictTest, TheSlowestPartOfEachWorkloadIsNamed) {
  AddEverything();
  const BenchVerdict large = Verdict(BenchWorkload::kLargeFiles);
  EXPECT_EQ(large.bottleneck, BenchMetric::kFetched);
  EXPECT_EQ(large.side, Side::kCoordinator);
  EXPECT_DOUBLE_EQ(large.expected, 110e6);
  EXPECT_THAT(large.advice, HasSubstr("faster link"));
  const BenchVerdict small = Verdict(BenchWorkload::kSmallFiles);
  EXPECT_EQ(small.bottleneck, BenchMetric::kSyncedFiles);
  EXPECT_EQ(small.side, Side::kDestination);
  EXPECT_THAT(small.advice, HasSubstr("--durability none"));
  const BenchVerdict nothing = Verdict(BenchWorkload::kNothingToDo);
  EXPECT_EQ(nothing.side, Side::kDestination);
  EXPECT_DOUBLE_EQ(nothing.expected, 80'000);
}

TEST_F(BenchVerdictTest, DurableWritingCountsBeforeWritingIntoTheCache) {
  AddEverything();
  Add(Side::kDestination, BenchMetric::kFetched, 1, 1);
  for (MeasuredStep& step : outcome_.steps) {
    if (step.report.figures[0].metric == BenchMetric::kFetched) step.report.figures[0].bytes = 5'000'000'000;
  }
  EXPECT_EQ(Verdict(BenchWorkload::kLargeFiles).bottleneck, BenchMetric::kWrittenSynced);
}

TEST_F(BenchVerdictTest, AProcessorThatIsBusyIsBlamed) {
  Add(Side::kSource, BenchMetric::kScanned, 1000, 0, 0.95);
  const BenchVerdict verdict = Verdict(BenchWorkload::kNothingToDo);
  EXPECT_TRUE(verdict.cpu_bound);
  EXPECT_THAT(verdict.advice, HasSubstr("more cores"));
}

TEST_F(BenchVerdictTest, TheSourcesProcessorMayBeWhatTheNetworkWaitsFor) {
  AddEverything();
  EXPECT_FALSE(Verdict(BenchWorkload::kLargeFiles).cpu_bound);
  for (MeasuredStep& step : outcome_.steps) {
    if (step.report.figures[0].metric == BenchMetric::kServed) step.report.figures[0].cpu_ns = kSecond;
  }
  EXPECT_TRUE(Verdict(BenchWorkload::kLargeFiles).cpu_bound);
}

TEST_F(BenchVerdictTest, ALongRoundTripAsksForMoreConnections) {
  AddEverything();
  for (MeasuredStep& step : outcome_.steps) {
    if (step.report.figures[0].metric == BenchMetric::kRoundTrip) step.report.figures[0].count = 20;
  }
  EXPECT_THAT(Verdict(BenchWorkload::kLargeFiles).advice, HasSubstr("--connections"));
}

TEST_F(BenchVerdictTest, InOneAgentPartsThatNeedTheProcessorTakeTurns) {
  outcome_.one_agent = true;
  Add(Side::kSource, BenchMetric::kReadLarge, 1, 1'000'000'000, 1.0);
  Add(Side::kDestination, BenchMetric::kWritten, 1, 1'000'000'000, 1.0);
  EXPECT_NEAR(Verdict(BenchWorkload::kLargeFiles).expected, 500e6, 1e3);
}

TEST_F(BenchVerdictTest, WhatWasNotMeasuredIsNotJudged) {
  Add(Side::kSource, BenchMetric::kScanned, 1000, 0);
  const std::vector<BenchVerdict> verdicts = JudgeBenchmark(outcome_);
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_EQ(verdicts[0].workload, BenchWorkload::kNothingToDo);
  EXPECT_TRUE(JudgeBenchmark(BenchOutcome{}).empty());
}

TEST_F(BenchVerdictTest, AFigureWithoutTimeHasNoRate) {
  Add(Side::kSource, BenchMetric::kScanned, 1000, 0);
  outcome_.steps[0].report.figures[0].elapsed_ns = 0;
  EXPECT_TRUE(RatesOf(outcome_).empty());
}

TEST(BenchNamesTest, EveryMetricAndStepHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int i = 1; i <= static_cast<int>(kLastBenchMetric); ++i) {
    names.insert(BenchMetricName(static_cast<BenchMetric>(i)));
    names.insert(BenchMetricKey(static_cast<BenchMetric>(i)));
  }
  EXPECT_EQ(names.size(), 2u * static_cast<size_t>(kLastBenchMetric));
  std::set<std::string> steps;
  for (int i = 1; i <= static_cast<int>(kLastBenchStep); ++i) steps.insert(BenchStepName(static_cast<BenchStep>(i)));
  EXPECT_EQ(steps.size(), static_cast<size_t>(kLastBenchStep));
}

}  // namespace
}  // namespace uringsync
