// What both agents must know for a run to be what was asked for. An agent that is older than an option would leave it
// out in silence, so a run that needs more than it has ends before anything is opened.
//
// Pure functions, any thread.
//
//   hello.features = CoordinatorFeatures();
//   std::string missing = MissingFeature(request, Side::kSource, reply.features);   // "filter rules"
#pragma once

#include <string>
#include <vector>

#include "coordinator/core/run.h"

namespace uringsync {

// What this program knows, for its Hello.
std::vector<std::string> CoordinatorFeatures();

// What `request` needs of the agent of `side` and `features` does not have, in words; empty: nothing. Compression is
// not looked at: it may be left out where it was not asked for.
std::string MissingFeature(const SyncRequest& request, Side side, const std::vector<std::string>& features);

}  // namespace uringsync
