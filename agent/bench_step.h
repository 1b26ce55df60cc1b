// What every step of a bench session shares: what it works on, when it is over, and how it is measured.
//
// Thread rule: values; BenchStepContext is read by coroutines of all shards while its step runs.
// Use:  BenchMeter meter;  ... work until step.over() ...;
// report->figures.push_back(meter.Figure(BenchMetric::kWritten, n, bytes));
#pragma once

#include <time.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/entry.h"
#include "engine/coro/cancel.h"
#include "engine/coro/scope.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/ring/runtime.h"
#include "proto/messages.h"

namespace uringsync {

// The session that is measured; the same for all its steps.
struct BenchSubject {
  Runtime* runtime = nullptr;
  size_t shards = 1;  // that work for the session, from the first one on
  DirectoryPtr root{};
  Role role = Role::kSource;
  SessionId session{};
  uint64_t digest_seed = 0;
  MetadataSelection selection{};
  bool volatile_file_system = false;  // nothing to fsync
};

struct BenchStepContext {
  const BenchSubject& subject;
  const RunBench ask;
  const CancelToken cancel;
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();

  std::chrono::nanoseconds time() const { return std::chrono::milliseconds(ask.milliseconds); }
  // `share` of the step's time has passed since `from`, or the session ends.
  bool Over(std::chrono::steady_clock::time_point from, double share) const {
    return cancel.cancelled() || std::chrono::steady_clock::now() - from > time() * share;
  }
};

// Wall time and CPU time of the process from its making on.
class BenchMeter {
 public:
  BenchFigure Figure(BenchMetric metric, uint64_t count, uint64_t bytes) const {
    const auto wall = std::chrono::steady_clock::now() - start_;
    const uint64_t elapsed = static_cast<uint64_t>(std::chrono::nanoseconds(wall).count());
    return {.metric = metric, .count = count, .bytes = bytes, .elapsed_ns = elapsed, .cpu_ns = CpuNow() - cpu_};
  }
  std::chrono::steady_clock::time_point start() const { return start_; }

 private:
  static uint64_t CpuNow() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  }
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  uint64_t cpu_ = CpuNow();
};

// Runs `work(shard index)` on every shard of the session at once and joins. `subject` and `work` outlive the call.
inline Task<void> OnEveryShard(const BenchSubject* subject, const std::function<Task<void>(size_t)>* work) {
  Scope scope;
  for (size_t i = 0; i < subject->shards; ++i) scope.SpawnOn(&subject->runtime->shard(i), (*work)(i));
  co_await scope.Join();
}

// A file of the tree that may be read.
struct BenchFile {
  RelPath path;
  FileId id;
  uint64_t size_bytes = 0;
  FileTime mtime;
};
// What the scan noted for the reading: bounded, whatever the tree holds.
struct BenchSamples {
  static constexpr size_t kMaxSmall = 4096;
  static constexpr size_t kMaxLarge = 64;
  static constexpr uint64_t kSmallBytes = uint64_t{64} << 10;
  static constexpr uint64_t kLargeBytes = uint64_t{1} << 20;
  std::vector<BenchFile> small;  // not empty, up to kSmallBytes
  std::vector<BenchFile> large;  // from kLargeBytes
};

}  // namespace uringsync
