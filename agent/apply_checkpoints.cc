// When ApplyEngine makes durable what has ended, and how far it says that everything is.
#include <algorithm>

#include "agent/apply_engine.h"
#include "engine/base/kill_point.h"
#include "engine/ring/driver.h"

namespace uringsync {

// A batch counts when all of it had ended before the first sync began: its shards knew by then what they had touched.
Task<void> ApplyEngine::MakeDurable() {
  const uint64_t ended = shared_.report.completed_sequence();
  Scope syncs;
  for (const std::unique_ptr<ApplyWorker>& worker : workers_) syncs.SpawnOn(worker->shard(), worker->SyncTouched());
  co_await syncs.Join();
  // Once something could not be synced nobody knows what of the run is on disk.
  PassKillPoint(KillPoint::kSyncPhase);
  if (!shared_.sync_incomplete) shared_.report.SetDurable(ended);
}

Task<void> ApplyEngine::RunCheckpoints() {
  Driver* const driver = Shard::Current()->driver();
  std::chrono::nanoseconds pause = kCheckpointPause;
  while (!checkpoints_over_) {
    checkpoint_pause_ = Op();
    checkpoint_pause_.code = OpCode::kTimeout;
    checkpoint_pause_.timeout = pause;
    checkpoint_pausing_ = true;
    co_await Await(driver, &checkpoint_pause_);
    checkpoint_pausing_ = false;
    if (checkpoints_over_ || shared_.receive.stopped()) break;
    if (shared_.report.completed_sequence() == shared_.report.durable_sequence()) continue;
    const auto begun = std::chrono::steady_clock::now();
    co_await MakeDurable();
    const auto took = std::chrono::steady_clock::now() - begun;
    pause = std::max<std::chrono::nanoseconds>(kCheckpointPause, took * (kCheckpointShare - 1));
  }
}

void ApplyEngine::EndCheckpoints() {
  checkpoints_over_ = true;
  if (checkpoint_pausing_) Shard::Current()->driver()->Cancel(&checkpoint_pause_);
}

}  // namespace uringsync
