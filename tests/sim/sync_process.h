// SyncProcess: the coordinator of one run, as a program on a host of its own, and what it was told.
//
// Thread rule: one thread at a time (scheduler.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/run.h"
#include "tests/sim/agent.h"

namespace uringsync::sim {

// How a history syncs; the same in all of its runs.
struct SyncHabits {
  DataRoute::Kind route = DataRoute::Kind::kConnect;
  Durability durability = Durability::kBatch;
  DeltaPolicy delta = DeltaPolicy::kAuto;
  bool delete_extraneous = true;
  bool hard_links = true;
  bool checksum = false;
  bool fold = true;
  bool resume = true;
  bool readback = false;
  bool compress = false;
  DeleteTiming delete_timing = DeleteTiming::kAfter;
};

// What the observer of a run has heard. Lives on when the run is killed.
struct SyncRecord {
  struct Ended {
    uint64_t id = 0;
    ActionKind kind = ActionKind::kPutFile;
    std::string path;
    Entry wanted;
    ActionOutcome outcome = ActionOutcome::kDone;
  };
  std::vector<Ended> actions;
  uint64_t durable_through = 0;
  uint64_t durable_actions = 0;
  std::vector<Problem> problems;
  bool opened = false;
  bool over = false;
  SyncOutcome outcome;
  uint64_t CountOf(ActionOutcome outcome) const;
  bool ok() const { return over && outcome.exit_code == ExitCode::kOk; }
  // What it said, in a line.
  std::string Text() const;
};

class SyncProcess {
 public:
  SyncProcess(const Machines& machines, HostId host) : machines_(machines), host_(host) {}

  // Starts one run. `number` makes its sessions' ids.
  void Start(const SyncHabits& habits, SimulatedAgent* source, SimulatedAgent* destination, uint64_t number);
  // Until it is over or dead; false: still running after `limit`.
  bool Await(Nanos limit);
  void Kill();
  ProcessId process() const { return process_; }
  const SyncRecord& record() const { return *record_; }

 private:
  void Main(const SyncHabits& habits, SimulatedAgent* source, SimulatedAgent* destination, uint64_t number,
            SyncRecord* record);

  const Machines machines_;
  const HostId host_;
  ProcessId process_ = 0;
  bool dead_ = false;
  std::shared_ptr<SyncRecord> record_;
};

}  // namespace uringsync::sim
