// The outcome of a benchmark as a table for people and as one JSON object for programs (docs/json.md).
//
// Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/core/bench.h"

namespace uringsync {

// What the outcome does not hold.
struct BenchFacts {
  std::string source;  // endpoints, escaped
  std::string destination;
  double step_seconds = 0;
  std::string error;  // why it broke off, with the agent named; empty: it did not
};

std::vector<std::string> RenderBenchText(const BenchOutcome& outcome, const BenchFacts& facts);
// Without a newline.
std::string RenderBenchJson(const BenchOutcome& outcome, const BenchFacts& facts);

}  // namespace uringsync
