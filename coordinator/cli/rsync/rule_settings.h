// What the options about which objects are acted upon, and what becomes of owners and modes, mean.
//
// Thread rule: functions.
#pragma once

#include "absl/status/status.h"
#include "coordinator/cli/rsync/settings.h"
#include "coordinator/core/run.h"

namespace uringsync {

// Fills rules, maps and mode changes of the request. LinkError(kUsage) for values that cannot be read and for options
// that exclude each other. Reads the umask of the process, for --chmod.
absl::Status ApplyRuleSettings(const Settings& settings, SyncRequest* request);

// Of these what can be said before anything is looked at: whether the changes of --chmod can be read.
// LinkError(kUsage).
absl::Status CheckRuleSettings(const Settings& settings);

}  // namespace uringsync
