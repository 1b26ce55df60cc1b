// BenchFlags: the options of bench as given, and what they mean. Those of a run that mean the same here are Settings.
//
// Thread rule: functions and values.
#pragma once

#include "absl/status/statusor.h"
#include "coordinator/cli/options.h"
#include "coordinator/cli/rsync/settings.h"

namespace CLI {
class App;
}

namespace uringsync {

struct BenchFlags {
  Settings run = Settings::For(Command::kSync);
  std::string source;
  std::string destination;
  double seconds = 2;
  unsigned max_mebibytes = 256;
};

// Declares the options; parsing fills `flags`, which must outlive it.
void AddBenchFlags(CLI::App* command, BenchFlags* flags);

// LinkError(kUsage) as ToRunOptions.
absl::StatusOr<BenchOptions> ToBenchOptions(const BenchFlags& flags);

}  // namespace uringsync
