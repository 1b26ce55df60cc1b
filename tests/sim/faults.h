// Faults of one run of a history: what happens at which of its calls. Drawn from the seed before the run.
//
// Thread rule: one thread at a time (scheduler.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/driver.h"
#include "tests/sim/kernel.h"

namespace uringsync::sim {

// How often what was done to programs; of one history.
struct FaultCounts {
  uint64_t kills = 0;
  uint64_t power_cuts = 0;
  uint64_t network_cuts = 0;
  uint64_t partitions = 0;
  uint64_t errors = 0;
  uint64_t changes = 0;    // of the source while it was read
  uint64_t strangers = 0;  // in the destination while it was written
  uint64_t full_disks = 0;
};

class Faults final : public CallWatcher {
 public:
  Faults(Scheduler* scheduler, Kernel* kernel) : scheduler_(scheduler), kernel_(kernel) {}

  // A new run without any.
  void Clear();
  // Runs `event` when the programs have made so many calls and operations in all; in an event, or, with `inline_of`, in
  // the call itself when that process makes it (or any later one).
  void AtCall(uint64_t number, std::function<void()> event);
  void AtCallOf(ProcessId process, uint64_t number, std::function<void()> event);
  // The n-th call or operation of a process, and `times` - 1 after it that can fail so, fail with `error`.
  void FailCall(ProcessId process, uint64_t number, int error, uint64_t times);
  // The n-th getdents(2) of a process fails with `error`.
  void FailListing(ProcessId process, uint64_t number, int error);

  uint64_t calls() const { return calls_; }
  uint64_t injected() const { return injected_; }

  int BeforeCall(ProcessId process, CallCode code) override;
  int BeforeOp(ProcessId process, const Op& op) override;

 private:
  struct Planned {
    ProcessId process = -1;  // of any, where -1
    uint64_t number = 0;
    std::function<void()> event;
  };
  struct Failure {
    ProcessId process = 0;
    uint64_t number = 0;
    int error = 0;
    uint64_t times = 0;
    bool of_listings = false;  // they alone are counted
  };
  // Counts; runs what is due. 0, or the negated error with which this one is to fail.
  int Pass(ProcessId process, bool can_fail, bool is_listing);

  Scheduler* const scheduler_;
  Kernel* const kernel_;
  std::vector<Planned> planned_;
  std::vector<Failure> failures_;
  uint64_t calls_ = 0;
  std::map<ProcessId, uint64_t> calls_of_;
  std::map<ProcessId, uint64_t> listings_of_;
  uint64_t injected_ = 0;
};

}  // namespace uringsync::sim
