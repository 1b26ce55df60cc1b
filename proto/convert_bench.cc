#include "proto/convert_bench.h"

#include <string>
#include <string_view>
#include <utility>

#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_fields.h"

namespace uringsync::convert_internal {
namespace {

// Only as many as are known, whatever the peer's enumeration holds.
absl::StatusOr<BenchStep> DecodeStep(Where where, uint32_t step) {
  if (step == 0 || step > static_cast<uint32_t>(kLastBenchStep)) {
    return Bad(where, kNoRow, "unknown step " + std::to_string(step));
  }
  return static_cast<BenchStep>(step);
}

}  // namespace

void EncodeRunBench(const RunBench& run, v1::RunBench* wire) {
  wire->set_step(static_cast<uint32_t>(run.step));
  wire->set_milliseconds(run.milliseconds);
  wire->set_max_bytes(run.max_bytes);
}

absl::StatusOr<RunBench> DecodeRunBench(const v1::RunBench& wire) {
  RunBench run;
  US_ASSIGN_OR_RETURN(run.step, DecodeStep({"RunBench", "step"}, wire.step()));
  run.milliseconds = wire.milliseconds();
  if (run.milliseconds == 0 || run.milliseconds > kMaxBenchMilliseconds) {
    return Bad({"RunBench", "milliseconds"}, kNoRow, std::to_string(run.milliseconds) + " is out of range");
  }
  run.max_bytes = wire.max_bytes();
  if (run.max_bytes < kMinBenchBytes || run.max_bytes > kMaxBenchBytes) {
    return Bad({"RunBench", "max_bytes"}, kNoRow, std::to_string(run.max_bytes) + " is out of range");
  }
  return run;
}

absl::Status EncodeBenchReport(const BenchReport& report, v1::BenchReport* wire) {
  US_RETURN_IF_ERROR(CheckBound({"BenchReport", "figures"}, report.figures.size(), kMaxBenchFigures, "figures"));
  wire->set_step(static_cast<uint32_t>(report.step));
  wire->set_cores(report.cores);
  wire->set_note(std::string(Clip(report.note, kMaxLineBytes)));
  for (const BenchFigure& figure : report.figures) {
    wire->add_metrics(static_cast<uint32_t>(figure.metric));
    wire->add_counts(figure.count);
    wire->add_bytes(figure.bytes);
    wire->add_elapsed_ns(figure.elapsed_ns);
    wire->add_cpu_ns(figure.cpu_ns);
  }
  return absl::OkStatus();
}

absl::StatusOr<BenchReport> DecodeBenchReport(const v1::BenchReport& wire) {
  BenchReport report;
  US_ASSIGN_OR_RETURN(report.step, DecodeStep({"BenchReport", "step"}, wire.step()));
  report.cores = wire.cores();
  if (report.cores == 0) return Bad({"BenchReport", "cores"}, kNoRow, "0 cores");
  US_ASSIGN_OR_RETURN(report.note, DecodeText({"BenchReport", "note"}, wire.note(), kMaxLineBytes));
  const int rows = wire.metrics_size();
  US_RETURN_IF_ERROR(CheckBound({"BenchReport", "metrics"}, static_cast<size_t>(rows), kMaxBenchFigures, "figures"));
  for (const auto& [field, size] :
       {std::pair{"counts", wire.counts_size()}, std::pair{"bytes", wire.bytes_size()},
        std::pair{"elapsed_ns", wire.elapsed_ns_size()}, std::pair{"cpu_ns", wire.cpu_ns_size()}}) {
    if (size != rows) return Bad({"BenchReport", field}, kNoRow, "not as many as metrics");
  }
  for (int i = 0; i < rows; ++i) {
    const uint32_t metric = wire.metrics(i);
    if (metric == 0 || metric > static_cast<uint32_t>(kLastBenchMetric)) {
      return Bad({"BenchReport", "metrics"}, static_cast<size_t>(i), "unknown metric " + std::to_string(metric));
    }
    report.figures.push_back({.metric = static_cast<BenchMetric>(metric),
                              .count = wire.counts(i),
                              .bytes = wire.bytes(i),
                              .elapsed_ns = wire.elapsed_ns(i),
                              .cpu_ns = wire.cpu_ns(i)});
  }
  return report;
}

}  // namespace uringsync::convert_internal
