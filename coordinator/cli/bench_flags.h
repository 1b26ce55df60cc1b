// BenchFlags: the options of bench as given, and what they mean. Those of a run that mean the same here are RunFlags.
//
// Thread rule: functions and values.
#pragma once

#include "absl/status/statusor.h"
#include "coordinator/cli/options.h"
#include "coordinator/cli/run_flags.h"

namespace uringsync {

struct BenchFlags {
  RunFlags run;
  double seconds = 2;
  unsigned max_mebibytes = 256;
};

// Declares the options; parsing fills `flags`, which must outlive it.
void AddBenchFlags(CLI::App* command, BenchFlags* flags);

// LinkError(kUsage) as ToRunOptions.
absl::StatusOr<BenchOptions> ToBenchOptions(const BenchFlags& flags);

}  // namespace uringsync
