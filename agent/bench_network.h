// Bench step of the way between two agents: round trip and throughput of the data connections of a sync.
//
// Thread rule: a coroutine of shard 0; the work runs on all shards.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "agent/bench_step.h"
#include "engine/transfer/content_source.h"

namespace uringsync {

// Fetches made-up contents (engine/transfer/generated_content.h) from a source that was told to send them. `sources`:
// one a shard, connected or about to be.
Task<absl::Status> FetchGenerated(const BenchStepContext* step, const std::vector<ContentSource*>* sources,
                                  BenchReport* report);

}  // namespace uringsync
