// Self copy: where a run would meet its own destination while it reads its source.
//
// Thread rule: functions; they look at this host's file system.
#pragma once

#include <vector>

#include "coordinator/cli/reporter.h"
#include "engine/base/rel_path.h"

namespace uringsync {

// The paths in the transfer at which a destination that lies inside of a source is, both on this host; empty where it
// lies in none, or that cannot be told.
std::vector<RelPath> DestinationInTransfer(const ReportFacts& facts);

}  // namespace uringsync
