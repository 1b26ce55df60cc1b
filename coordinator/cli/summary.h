// Summary: the last lines of a run.
//
// Thread rule: functions.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/cli/tally.h"
#include "coordinator/core/run.h"

namespace uringsync {

struct RunResult {
  SyncMode mode = SyncMode::kSync;
  SyncOutcome outcome;
  Tally tally;
  std::chrono::nanoseconds duration{0};
  std::string source_backend;  // "uring" or "threads"; empty when the session was never opened
  std::string destination_backend;
};

// One line that is true: "100001 objects: 100000 files and 1 directory new; 700 MB moved in 1.35 s (519 MB/s)", or
// "100001 objects, nothing to do: 0 bytes moved in 0.312 s".
std::string SummaryLine(const RunResult& result);

// One line about attributes that this process may not set and nobody named; empty when there are none.
std::string SkippedLine(const PlanCounters& plan);
// "3 objects that only the destination has are kept (--max-delete)", or why else; empty: no delete was left out.
std::string DeletesLeftOut(const SyncOutcome& outcome);

// The --stats table, a row a line.
std::vector<std::string> StatsTable(const RunResult& result);

// "sync", "plan", "verify".
std::string_view ModeName(SyncMode mode);
// "none", "batch", "file".
std::string_view DurabilityName(Durability durability);
// "planned", "published" or "durable": the state that everything which a sync was to do has reached at the least, as
// far as it is known.
std::string_view WeakestState(const SyncOutcome& outcome);

}  // namespace uringsync
