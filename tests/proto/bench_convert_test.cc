#include <gtest/gtest.h>

#include <string>

#include "proto/convert.h"
#include "tests/support/status_matchers.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

v1::ClientMessage GoodRun() {
  v1::ClientMessage wire;
  EXPECT_OK(EncodeMessage(
      ClientMessage(RunBench{.step = BenchStep::kWrite, .milliseconds = 100, .max_bytes = kMinBenchBytes}), &wire));
  return wire;
}

v1::AgentMessage GoodReport() {
  BenchReport report{.step = BenchStep::kSync, .cores = 4, .note = "a note"};
  report.figures.push_back({BenchMetric::kSyncedFiles, 64, 64 * 4096, 1000, 900});
  report.figures.push_back({BenchMetric::kSyncedDirectories, 1, 0, 10, 0});
  v1::AgentMessage wire;
  EXPECT_OK(EncodeMessage(AgentMessage(report), &wire));
  return wire;
}

std::string Refusal(const v1::ClientMessage& wire) {
  return std::string(DecodeMessage(wire).status().message());
}
std::string Refusal(const v1::AgentMessage& wire) {
  return std::string(DecodeMessage(wire).status().message());
}

TEST(BenchConvertTest, ARunSurvivesTheWire) {
  const absl::StatusOr<ClientMessage> decoded = DecodeMessage(GoodRun());
  ASSERT_OK(decoded);
  const auto& run = std::get<RunBench>(*decoded);
  EXPECT_EQ(run.step, BenchStep::kWrite);
  EXPECT_EQ(run.milliseconds, 100u);
  EXPECT_EQ(run.max_bytes, kMinBenchBytes);
}

TEST(BenchConvertTest, AReportSurvivesTheWire) {
  const absl::StatusOr<AgentMessage> decoded = DecodeMessage(GoodReport());
  ASSERT_OK(decoded);
  const auto& report = std::get<BenchReport>(*decoded);
  EXPECT_EQ(report.step, BenchStep::kSync);
  EXPECT_EQ(report.cores, 4u);
  EXPECT_EQ(report.note, "a note");
  ASSERT_EQ(report.figures.size(), 2u);
  EXPECT_EQ(report.figures[0], (BenchFigure{BenchMetric::kSyncedFiles, 64, 64 * 4096, 1000, 900}));
}

TEST(BenchConvertTest, ALongNoteIsClippedAndTooManyFiguresAreRefused) {
  BenchReport report{.step = BenchStep::kScan, .cores = 1, .note = std::string(2 * kMaxLineBytes, 'n')};
  v1::AgentMessage wire;
  ASSERT_OK(EncodeMessage(AgentMessage(report), &wire));
  EXPECT_EQ(wire.bench_report().note().size(), kMaxLineBytes);
  report.figures.resize(kMaxBenchFigures + 1);
  EXPECT_FALSE(EncodeMessage(AgentMessage(report), &wire).ok());
}

TEST(BenchConvertTest, RunsOutOfRangeAreRefused) {
  v1::ClientMessage wire = GoodRun();
  wire.mutable_run_bench()->set_step(0);
  EXPECT_THAT(Refusal(wire), HasSubstr("RunBench.step"));
  wire.mutable_run_bench()->set_step(7);
  EXPECT_THAT(Refusal(wire), HasSubstr("unknown step 7"));
  wire = GoodRun();
  wire.mutable_run_bench()->set_milliseconds(0);
  EXPECT_THAT(Refusal(wire), HasSubstr("RunBench.milliseconds"));
  wire.mutable_run_bench()->set_milliseconds(kMaxBenchMilliseconds + 1);
  EXPECT_THAT(Refusal(wire), HasSubstr("RunBench.milliseconds"));
  wire = GoodRun();
  wire.mutable_run_bench()->set_max_bytes(kMinBenchBytes - 1);
  EXPECT_THAT(Refusal(wire), HasSubstr("RunBench.max_bytes"));
  wire.mutable_run_bench()->set_max_bytes(kMaxBenchBytes + 1);
  EXPECT_THAT(Refusal(wire), HasSubstr("RunBench.max_bytes"));
}

TEST(BenchConvertTest, ReportsThatMakeNoSenseAreRefused) {
  v1::AgentMessage wire = GoodReport();
  wire.mutable_bench_report()->set_cores(0);
  EXPECT_THAT(Refusal(wire), HasSubstr("BenchReport.cores"));
  wire = GoodReport();
  wire.mutable_bench_report()->set_metrics(1, 99);
  EXPECT_THAT(Refusal(wire), HasSubstr("unknown metric 99"));
  wire = GoodReport();
  wire.mutable_bench_report()->mutable_elapsed_ns()->RemoveLast();
  EXPECT_THAT(Refusal(wire), HasSubstr("BenchReport.elapsed_ns"));
  wire = GoodReport();
  for (size_t i = 0; i < kMaxBenchFigures; ++i) wire.mutable_bench_report()->add_metrics(1);
  EXPECT_THAT(Refusal(wire), HasSubstr("BenchReport.metrics"));
}

}  // namespace
}  // namespace uringsync
