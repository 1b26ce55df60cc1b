// What the figures of a benchmark mean: how fast each kind of sync would be, what limits it, and what to do about it.
//
// Pure functions, any thread. Use:  for (const BenchVerdict& verdict : JudgeBenchmark(outcome)) ...
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/bench.h"

namespace uringsync {

// One figure with its side and what follows from it.
struct BenchRate {
  Side side = Side::kSource;
  BenchFigure figure;
  double count_per_second = 0;
  double bytes_per_second = 0;
  double cpu_share = 0;  // of the agent's cores, 0 to 1
};
// Every figure whose time is not zero, in order of measurement.
std::vector<BenchRate> RatesOf(const BenchOutcome& outcome);

enum class BenchWorkload : uint8_t { kLargeFiles = 1, kSmallFiles, kNothingToDo };
const char* BenchWorkloadName(BenchWorkload workload);  // "large files", "small files", "nothing to do"
const char* BenchMetricName(BenchMetric metric);        // "list objects", "read large files", ...
const char* BenchMetricKey(BenchMetric metric);         // "scanned", "read_large", ...: docs/json.md
const char* BenchStepName(BenchStep step);              // "scan", ...

struct BenchVerdict {
  BenchWorkload workload = BenchWorkload::kLargeFiles;
  double expected = 0;        // bytes/s for large files, else objects/s: what a sync can reach at the most
  Side side = Side::kSource;  // of the bottleneck; kCoordinator: the way between the agents
  BenchMetric bottleneck = BenchMetric::kScanned;
  bool cpu_bound = false;  // the processor of that side is what is short
  std::string advice;      // one sentence
};
// One verdict for each workload that was measured on every part that it needs.
std::vector<BenchVerdict> JudgeBenchmark(const BenchOutcome& outcome);

}  // namespace uringsync
