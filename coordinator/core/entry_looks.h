// Looks at single objects of both sides of an open run.
//
// Thread rule: the planning thread.
// Use:  US_ASSIGN_OR_RETURN(auto findings, LookAtBoth(source_link, paths, destination_link, paths));
#pragma once

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/agent_link.h"
#include "coordinator/core/planner.h"
#include "proto/messages.h"

namespace uringsync {

// One finding for each path, in their order; both agents look at the same time. Errors are those of the links, and
// InvalidArgument for an answer to something that was not asked.
absl::StatusOr<std::pair<std::vector<EntryFinding>, std::vector<EntryFinding>>> LookAtBoth(
    AgentLink& source, std::vector<RelPath> source_paths, AgentLink& destination,
    std::vector<RelPath> destination_paths);

// Single objects as a manifest, so that what rewrites manifests rewrites them.
class FoundEntries final : public ManifestStream {
 public:
  absl::StatusOr<std::optional<DirectoryBatch>> Next() override;
  // Replaces what is found in `findings` by what `view`, which reads this object, makes of it.
  absl::Status PassThrough(ManifestStream& view, std::vector<EntryFinding>* findings);

 private:
  std::optional<DirectoryBatch> batch_;
};

}  // namespace uringsync
