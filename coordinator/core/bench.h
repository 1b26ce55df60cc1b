// RunBenchmark: asks two agents to measure what a sync between them would need, step by step, one at a time.
//
// Blocks the calling thread; a second one watches for cancellation and time-outs and closes the streams then, upon
// which the agents remove what they had written. Nothing of either tree is changed.
//
// Use:  BenchOutcome outcome = RunBenchmark(request, plan, links->source(), links->destination(), on_step);
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/core/run.h"

namespace uringsync {

struct BenchPlan {
  absl::Duration step_time = absl::Seconds(2);  // of each step
  uint64_t max_bytes = uint64_t{256} << 20;     // written by a step at the most
};

struct MeasuredStep {
  Side side = Side::kSource;
  BenchReport report;
};

struct BenchOutcome {
  ExitCode exit_code = ExitCode::kOk;
  std::string error;  // escaped, one line
  std::optional<Side> error_side;
  bool broke = false;      // the connection to that side is gone
  bool one_agent = false;  // both sides are one process: there is no way between them
  HelloReply source_agent;
  HelloReply destination_agent;
  SessionOpened source;
  SessionOpened destination;
  std::vector<MeasuredStep> steps;  // those that have ended, in order
};

// Uses of `request`: the targets, create_root, choose_route, wait_for_lock, selection, data_connections, jobs,
// software, idle_timeout (that an agent may be silent beyond the time of a step), cancel. `on_step` is called before
// each step. An agent without kBenchFeature: kVersion. Both streams are closed on return.
BenchOutcome RunBenchmark(const SyncRequest& request, const BenchPlan& plan, ClientStream& source,
                          ClientStream& destination, const std::function<void(Side, BenchStep)>& on_step);

}  // namespace uringsync
