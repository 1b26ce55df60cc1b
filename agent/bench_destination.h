// Bench steps of the writing side: one large file a shard, small files with metadata, and the same made durable.
//
// Everything is made below one scratch tree (engine/fs/scratch_tree.h) in the destination and removed before a step
// ends, however it ends. What a killed agent leaves goes with the next session that writes there. At most
// RunBench::max_bytes, a quarter of the free space and kMaxBenchFiles files exist at once.
//
// Thread rule: coroutines of shard 0; the work runs on all shards.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "agent/bench_step.h"

namespace uringsync {

constexpr uint64_t kMaxBenchFiles = 50'000;
// Contents of each small file.
constexpr uint32_t kBenchFileBytes = 4096;

// One large file on each shard, written in the pieces of a sync; then fsynced where the file system is not in memory.
Task<absl::Status> WriteLarge(const BenchStepContext* step, BenchReport* report);

// Small files: create, write, metadata, rename; then all of them are removed.
Task<absl::Status> MakeSmall(const BenchStepContext* step, BenchReport* report);

// Small files as under --durability=batch: batches that are fsynced together, then renamed, then the directory is
// fsynced.
Task<absl::Status> SyncSmall(const BenchStepContext* step, BenchReport* report);

}  // namespace uringsync
