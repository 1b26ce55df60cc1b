// What of a SyncRequest the two agents and the planner are told.
//
// Pure functions, any thread.
//
//   OpenSession open = MakeOpenSession(request, Role::kSource);
#pragma once

#include <chrono>

#include "absl/time/time.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/run.h"
#include "proto/messages.h"

namespace uringsync {

// For how long a run with this time limit for silent agents rides out a lost connection.
std::chrono::milliseconds RideOut(absl::Duration idle_timeout);

// Sources are removed by this run: asked for, and no dry run.
bool RemovesSources(const SyncRequest& request);
// The source is read from a snapshot: asked for, and no dry run.
bool TakesSnapshot(const SyncRequest& request);
// The request's rules leave out all of `paths`, at which its source would meet its destination (at least one), whatever
// stands there.
bool HidesDestination(const SyncRequest& request, const std::vector<RelPath>& paths);

// An agent has to know operands and host paths for it.
bool UsesOperands(const SyncRequest& request);

// The destination tells what its links to directories lead to: they are to be kept, or may lie on the way to an
// operand.
bool KeepsDirectoryLinks(const SyncRequest& request);

// The session of the agent in `role`; compression and the route are for the caller to fill in.
OpenSession MakeOpenSession(const SyncRequest& request, Role role);

// What the planner does beside a destination that opened as `destination`.
PlanOptions MakePlanOptions(const SyncRequest& request, const SessionOpened& destination);

}  // namespace uringsync
