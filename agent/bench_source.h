// Bench steps of the reading side: how fast a tree is listed, how fast its files are read.
//
// Thread rule: coroutines of shard 0; the work runs on all shards. A step ends soon after its time, or when the session
// is cancelled.
#pragma once

#include "absl/status/status.h"
#include "agent/bench_step.h"

namespace uringsync {

// Lists the tree with the manifest's scanner until time is up and notes files for ReadFiles.
Task<absl::Status> ScanTree(const BenchStepContext* step, BenchSamples* samples, BenchReport* report);

// Reads what `samples` holds, each file once: large ones for half of the time, then small ones.
Task<absl::Status> ReadFiles(const BenchStepContext* step, const BenchSamples* samples, BenchReport* report);

}  // namespace uringsync
