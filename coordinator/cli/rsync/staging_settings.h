// What --partial, --partial-dir, --append and their kin mean for a run. The rules are rsync's.
//
// Thread rule: functions; they read RSYNC_PARTIAL_DIR.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "coordinator/cli/rsync/settings.h"
#include "coordinator/core/run.h"

namespace uringsync {

// Where new contents are put that is no part of the destination's tree, as written: relative to the destination, or
// absolute.
struct StagingPlaces {
  std::string partial_directory;    // for all files; empty: none
  std::string temporary_directory;  // empty: none
};

// Fills request->staging and in_place, but for the places, and adds the filter rule that covers the directory of kept
// parts; after everything else that adds filters. LinkError(kUsage): options that exclude each other.
absl::Status ApplyStagingSettings(const Settings& settings, SyncRequest* request, StagingPlaces* places);

}  // namespace uringsync
