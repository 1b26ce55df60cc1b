// History: one seed's life of two trees: a source, a destination, runs between them with faults, and at last runs
// without. docs/testing.md, "Whole-system simulation", says what is simulated and what is not.
//
// Thread rule: the thread that activated the scheduler. Use (in a process of its own):
//   History history({.seed = 17});  const Verdict verdict = history.Live();  // verdict.wrong is empty, or the reason
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/agent.h"
#include "tests/sim/control.h"
#include "tests/sim/faults.h"
#include "tests/sim/oracle.h"
#include "tests/sim/sync_process.h"
#include "tests/sim/trees.h"

namespace uringsync::sim {

struct HistoryOptions {
  uint64_t seed = 0;
  bool trace = false;
  Defects defects;
};

struct Verdict {
  std::string wrong;  // empty: nothing
  uint64_t digest = 0;
  uint64_t steps = 0;
  uint64_t runs = 0;
  uint64_t runs_ok = 0;
  uint64_t runs_with_strays = 0;  // that left temporaries, for the next one to remove or to go on with
  FaultCounts faults;
};

class History {
 public:
  explicit History(HistoryOptions options);
  ~History();

  // `stuck` is told when the history cannot go on, and must not return.
  void OnStuck(std::function<void(const Verdict& verdict)> stuck);
  Verdict Live();

 private:
  // What is planned for one run, besides errors of calls.
  struct Round {
    std::set<std::string> source_changed;
    std::map<std::string, std::string> strangers;
    bool faulty = false;
    bool power_lost = false;
    bool settled = false;  // all that is there was on disk when it began
  };
  void BuildTrees();
  void DrawHabits();
  std::string FaultyRun();
  std::string CleanRuns();
  std::string PowerCutAtRest();
  void PlanFaults();
  void PlanOne(uint64_t kind);
  void PlanErrors(SimulatedAgent* agent);
  void PlanChanges();
  void PlanStranger();
  void MoveStranger();
  void StartAgents();
  void Say(const std::string& text) const;
  uint64_t SomeCall() { return 1 + scheduler_.random().Below(call_range_); }
  std::string Judge(const Evidence& evidence) const;
  Evidence Look(const Tree& source_before, const Tree& before) const;
  std::string Misuse() const;
  void RememberDestination();

  const HistoryOptions options_;
  Scheduler scheduler_;
  Weather weather_;
  Network network_;
  ControlNetwork control_;
  Kernel kernel_;
  Faults faults_;
  FileSystem source_files_;
  FileSystem destination_files_;
  std::unique_ptr<Gardener> source_;
  std::unique_ptr<Gardener> destination_;
  std::unique_ptr<SimulatedAgent> source_agent_;
  std::unique_ptr<SimulatedAgent> destination_agent_;
  std::unique_ptr<SyncProcess> sync_;
  SyncHabits habits_;
  Round round_;
  Tree destination_before_;
  std::map<std::string, std::set<std::string>> ever_;  // contents of the destination's names between runs
  bool settled_ = false;                               // as of the last run without faults
  Verdict verdict_;
  uint64_t call_range_ = 600;
  uint64_t next_run_ = 1;
};

}  // namespace uringsync::sim
