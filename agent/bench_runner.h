// BenchRunner: runs the steps of a bench session, one at a time, and reports each.
//
// A step that cannot be measured is no failure of the session: its report says why. A source's kNetwork step is
// answered at once: it tells what serving has cost since it was asked the last time.
//
// Thread rule: made, used and stopped by the session's thread (no shard). Reports are handed over on shard 0.
// Use:  BenchRunner bench(subject, [this](BenchReport report) { outbox_->Push(std::move(report)); });
//       US_RETURN_IF_ERROR(bench.Start(run, {}));  ...  bench.Stop();
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "agent/bench_step.h"
#include "engine/transfer/content_source.h"

namespace uringsync {

class BenchRunner {
 public:
  BenchRunner(BenchSubject subject, std::function<void(BenchReport)> on_report);

  // FailedPrecondition: a step is running, or is not one of this role. `sources`: where a destination's kNetwork
  // fetches from.
  absl::Status Start(const RunBench& run, std::vector<ContentSource*> sources);
  // Ends the running step soon and waits for it; what it made is removed. Idempotent.
  void Stop();

 private:
  Task<void> Run(RunBench run);
  Task<absl::Status> RunStep(const BenchStepContext* step, BenchReport* report);
  void ReportServing();

  const BenchSubject subject_;
  const std::function<void(BenchReport)> on_report_;
  CancelSource cancel_;
  Scope running_;
  std::atomic<bool> busy_{false};
  std::vector<ContentSource*> sources_;
  BenchSamples samples_;
  BenchMeter serving_;  // since the last kNetwork of a source
};

}  // namespace uringsync
