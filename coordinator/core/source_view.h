// SourceView: the source's manifest as the planner of this run is to read it: rewritten (RewrittenManifest) and without
// empty directories (PrunedManifest), as far as the request wants that; otherwise the stream itself.
//
// Thread rule: one thread, the planning one.
// Use:  SourceView view(request, same_names, ask_source, ask_destination);
//       US_RETURN_IF_ERROR(view.Prepare());
//       planner.Run(view.Over(link, driver), destination, sink);
#pragma once

#include <optional>

#include "coordinator/core/id_mapper.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/pruned_manifest.h"
#include "coordinator/core/rewritten_manifest.h"
#include "coordinator/core/run.h"

namespace uringsync {

class SourceView {
 public:
  // `same_names`: both agents give the same names to ids. The request outlives this object.
  SourceView(const SyncRequest& request, bool same_names, IdMapper::Ask ask_source, IdMapper::Ask ask_destination);

  // The agents will be asked for names.
  bool NeedsNames() const { return needs_names_; }
  // Entries reach the planner as the source sent them, when it sent them: digests of both sides can be compared.
  bool IsPlain() const { return !rewrites_ && !request_.rules.prune_empty_directories; }
  // As IdMapper::Prepare.
  absl::Status Prepare() { return maps_ ? mapper_.Prepare() : absl::OkStatus(); }
  // The view of `source`; both outlive the use. To be called once.
  ManifestStream& Over(ManifestStream& source, Driver* driver);

 private:
  const SyncRequest& request_;
  bool maps_ = false;
  bool needs_names_ = false;
  bool rewrites_ = false;
  IdMapper mapper_;
  std::optional<RewrittenManifest> rewritten_;
  std::optional<PrunedManifest> pruned_;
};

}  // namespace uringsync
