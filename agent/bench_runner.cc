#include "agent/bench_runner.h"

#include <algorithm>
#include <string>
#include <utility>

#include "agent/bench_destination.h"
#include "agent/bench_network.h"
#include "agent/bench_source.h"
#include "agent/join_scope.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

bool Fits(BenchStep step, Role role) {
  switch (step) {
    case BenchStep::kScan:
    case BenchStep::kNetwork: return true;
    case BenchStep::kRead: return role == Role::kSource;
    case BenchStep::kWrite:
    case BenchStep::kMetadata:
    case BenchStep::kSync: return role == Role::kDestination;
  }
  return false;
}

}  // namespace

BenchRunner::BenchRunner(BenchSubject subject, std::function<void(BenchReport)> on_report)
    : subject_(std::move(subject)), on_report_(std::move(on_report)) {}

absl::Status BenchRunner::Start(const RunBench& run, std::vector<ContentSource*> sources) {
  if (!Fits(run.step, subject_.role)) return absl::FailedPreconditionError("a bench step that is not of this role");
  if (busy_.exchange(true)) return absl::FailedPreconditionError("a bench step while another one runs");
  sources_ = std::move(sources);
  if (run.step == BenchStep::kNetwork && subject_.role == Role::kSource) {
    ReportServing();
  } else {
    running_.SpawnOn(&subject_.runtime->shard(0), Run(run));
  }
  return absl::OkStatus();
}

void BenchRunner::ReportServing() {
  BenchReport report{.step = BenchStep::kNetwork, .cores = static_cast<uint32_t>(subject_.shards)};
  report.figures.push_back(serving_.Figure(BenchMetric::kServed, 0, 0));
  serving_ = BenchMeter();
  busy_ = false;
  on_report_(std::move(report));
}

Task<void> BenchRunner::Run(RunBench run) {
  const BenchStepContext step{.subject = subject_, .ask = run, .cancel = cancel_.token()};
  BenchReport report{.step = run.step, .cores = static_cast<uint32_t>(subject_.shards)};
  const absl::Status status = co_await RunStep(&step, &report);
  if (!status.ok()) report.note = std::string(ToStd(status.message()));
  busy_ = false;
  on_report_(std::move(report));
}

Task<absl::Status> BenchRunner::RunStep(const BenchStepContext* step, BenchReport* report) {
  switch (step->ask.step) {
    case BenchStep::kScan: co_return co_await ScanTree(step, &samples_, report);
    case BenchStep::kRead: co_return co_await ReadFiles(step, &samples_, report);
    case BenchStep::kNetwork: co_return co_await FetchGenerated(step, &sources_, report);
    case BenchStep::kWrite: co_return co_await WriteLarge(step, report);
    case BenchStep::kMetadata: co_return co_await MakeSmall(step, report);
    case BenchStep::kSync: co_return co_await SyncSmall(step, report);
  }
  co_return absl::OkStatus();
}

void BenchRunner::Stop() {
  cancel_.Cancel(absl::CancelledError("the session is over"));
  BlockOn(&subject_.runtime->shard(0), JoinScope(&running_));
}

}  // namespace uringsync
