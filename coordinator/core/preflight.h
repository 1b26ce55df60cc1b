// Preflight: what of a run cannot go well, said before the first byte moves.
//
// From what the destination tells when its session opens; and, where the plan was made once before the run, from what
// it needs in all. A refusal ends the run, a notice is told and the run goes on; each says what the way out is.
//
// Thread rule: values and pure functions. Use:
//   PlanNeeds needs;  for each planned action: needs.Add(planned);
//   PreflightReport report = CheckBeforeRun(request, source_opened, destination_opened);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/planner.h"
#include "proto/messages.h"

namespace uringsync {

struct SyncRequest;

enum class PreflightMode : uint8_t {
  kOff = 1,
  kCheap,  // what is known when both sessions are open
  kFull,   // and what the whole plan needs
};

// What a plan needs of the destination's file system.
struct PlanNeeds {
  bool holes = true;      // files keep their holes, which take no room
  uint64_t bytes = 0;     // of new contents on disk
  uint64_t replaced = 0;  // of contents that they take the place of
  uint64_t deleted = 0;   // of what is deleted
  uint64_t objects = 0;   // that were not there, hard links not counted
  uint64_t objects_deleted = 0;
  uint64_t largest_file = 0;
  RelPath largest_path;
  uint64_t longest_name = 0;
  RelPath longest_path;

  void Add(const PlannedAction& planned);
};

struct PreflightReport {
  std::optional<std::string> refusal;
  std::vector<std::string> notices;     // what will show as problems of objects
  std::vector<std::string> shortfalls;  // what would not: objects take each other's place, or are new in every run
};

// request.preflight says how much is looked at, request.needs what the plan needs. An agent that tells nothing of its
// file system passes.
PreflightReport CheckBeforeRun(const SyncRequest& request, const SessionOpened& source,
                               const SessionOpened& destination);

}  // namespace uringsync
