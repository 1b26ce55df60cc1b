// The bench command's options and what it prints.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "coordinator/cli/bench_render.h"
#include "coordinator/cli/options.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::Contains;
using testing::HasSubstr;

absl::StatusOr<CommandLine> Parse(std::vector<const char*> words) {
  words.insert(words.begin(), {"uringsync", "bench"});
  return ParseCommandLine(static_cast<int>(words.size()), words.data());
}

TEST(BenchOptionsTest, DefaultsAreTwoSecondsAndAQuarterOfAGibibyte) {
  absl::StatusOr<CommandLine> line = Parse({"/a", "/b"});
  ASSERT_OK(line);
  const auto& bench = std::get<BenchOptions>(*line);
  EXPECT_EQ(bench.plan.step_time, absl::Seconds(2));
  EXPECT_EQ(bench.plan.max_bytes, uint64_t{256} << 20);
  EXPECT_EQ(bench.run.source.Display(), "/a");
}

TEST(BenchOptionsTest, EachOptionReachesThePlan) {
  absl::StatusOr<CommandLine> line = Parse({"/a", "agent://h/r", "--seconds", "0.5", "--max-write", "8", "--json",
                                            "--connections", "3", "--jobs", "2", "--wait"});
  ASSERT_OK(line);
  const auto& bench = std::get<BenchOptions>(*line);
  EXPECT_EQ(bench.plan.step_time, absl::Milliseconds(500));
  EXPECT_EQ(bench.plan.max_bytes, uint64_t{8} << 20);
  EXPECT_EQ(bench.run.request.data_connections, 3u);
  EXPECT_TRUE(bench.run.request.wait_for_lock);
  EXPECT_TRUE(bench.run.output.json);
  EXPECT_EQ(bench.run.agent_arguments, (std::vector<std::string>{"--jobs", "2"}));
}

TEST(BenchOptionsTest, WhatMakesNoSenseIsRefused) {
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{"/a"},
                                             {"/a", "/b", "--seconds", "0"},
                                             {"/a", "/b", "--seconds", "61"},
                                             {"/a", "/b", "--max-write", "0"},
                                             {"/a", "/b", "--delete"},
                                             {"/a", "/b", "--connections", "2"}}) {
    EXPECT_FALSE(Parse(words).ok());
  }
}

BenchOutcome Measured() {
  BenchOutcome outcome;
  outcome.source_agent.io_backend = outcome.destination_agent.io_backend = "uring";
  outcome.source.file_system = "xfs";
  outcome.destination.file_system = "ext4";
  const auto add = [&outcome](Side side, BenchStep step, BenchMetric metric, uint64_t count, uint64_t bytes) {
    MeasuredStep measured{side, {.step = step, .cores = 2}};
    measured.report.figures.push_back({metric, count, bytes, 1'000'000'000, 1'000'000'000});
    outcome.steps.push_back(measured);
  };
  add(Side::kSource, BenchStep::kScan, BenchMetric::kScanned, 1'234'567, 0);
  add(Side::kSource, BenchStep::kRead, BenchMetric::kReadLarge, 1, 2'000'000'000);
  add(Side::kDestination, BenchStep::kNetwork, BenchMetric::kRoundTrip, 4000, 0);
  add(Side::kDestination, BenchStep::kNetwork, BenchMetric::kFetched, 1, 100'000'000);
  add(Side::kSource, BenchStep::kNetwork, BenchMetric::kServed, 0, 0);
  add(Side::kDestination, BenchStep::kWrite, BenchMetric::kWritten, 1, 900'000'000);
  outcome.steps.back().report.note = "odd \x1b[31mname";
  return outcome;
}

TEST(BenchRenderTest, TheTableHasRatesSharesAndTheBottleneck) {
  const std::vector<std::string> lines = RenderBenchText(Measured(), {.source = "/a", .destination = "agent://h/r"});
  EXPECT_THAT(lines, Contains("source       /a  (xfs, uring, 2 cores)"));
  EXPECT_THAT(lines,
              Contains(AllOf(HasSubstr("list objects"), HasSubstr("1,234,567 objects/s"), HasSubstr("CPU 50 %"))));
  EXPECT_THAT(lines, Contains(AllOf(HasSubstr("round trip"), HasSubstr("network"), HasSubstr("0.25 ms"))));
  EXPECT_THAT(lines, Contains(AllOf(HasSubstr("move contents"), HasSubstr("100 MB/s"), HasSubstr("source 50 %"))));
  EXPECT_THAT(lines,
              Contains(AllOf(HasSubstr("large files"), HasSubstr("up to 100 MB/s"), HasSubstr("move contents"))));
  EXPECT_THAT(lines, Contains(HasSubstr("note: destination, write: odd \\033[31mname")));
}

TEST(BenchRenderTest, TheJsonObjectHoldsEveryFigure) {
  const std::string text =
      RenderBenchJson(Measured(), {.source = "/a", .destination = "agent://h/r", .step_seconds = 1, .error = "why"});
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const nlohmann::json out = nlohmann::json::parse(text);
  EXPECT_EQ(out["event"], "bench");
  EXPECT_EQ(out["error"], "why");
  EXPECT_EQ(out["source"]["file_system"], "xfs");
  ASSERT_EQ(out["steps"].size(), 6u);
  EXPECT_EQ(out["steps"][0]["figures"][0]["metric"], "scanned");
  EXPECT_EQ(out["steps"][0]["figures"][0]["count"], 1'234'567);
  EXPECT_EQ(out["steps"][0]["figures"][0]["seconds"], 1.0);
  ASSERT_EQ(out["verdicts"].size(), 2u);
  EXPECT_EQ(out["verdicts"][0]["workload"], "large files");
  EXPECT_EQ(out["verdicts"][0]["bottleneck"], "fetched");
  EXPECT_EQ(out["verdicts"][0]["side"], "network");
}

}  // namespace
}  // namespace uringsync
