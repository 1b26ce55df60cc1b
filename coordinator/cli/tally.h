// Tally: what a run did, counted from the outcome of each action, so that the summary tells what happened and not what
// was planned.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>

#include "coordinator/core/observer.h"

namespace uringsync {

struct Tally {
  uint64_t new_files = 0;  // regular files that were not there
  uint64_t new_directories = 0;
  uint64_t new_others = 0;  // symlinks, devices, FIFOs, sockets
  uint64_t renamed = 0;     // of new and updated files: that the destination seemed to have under other names
  uint64_t updated = 0;     // contents, target or kind replaced
  uint64_t metadata = 0;    // metadata alone
  uint64_t linked = 0;      // hard links made
  uint64_t deleted = 0;
  uint64_t transfer_bytes = 0;  // sizes of the files that were (sync) or would be (plan) moved; not of `renamed`
  uint64_t failed = 0;
  uint64_t skipped = 0;

  // Actions that end with kDone or kPlanned count by their kind; housekeeping (no differences) counts nothing.
  void Add(const Action& action, const Differences& differences, ActionOutcome outcome);
  uint64_t changes() const { return new_files + new_directories + new_others + updated + metadata + linked + deleted; }
};

}  // namespace uringsync
