#include "coordinator/core/rewritten_manifest.h"

#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {

void RewrittenManifest::Rewrite(Entry* entry) const {
  // Of an object that could not be looked at nothing is known that could be changed.
  if (entry->error != 0) return;
  if (rewriting_.mapper != nullptr) {
    const OwnerIds ids{entry->uid, entry->gid};
    entry->uid = rewriting_.mapper->User(entry->uid);
    entry->gid = rewriting_.mapper->Group(entry->gid);
    if (ids != OwnerIds{entry->uid, entry->gid}) entry->mapped_from = ids;
  }
  entry->mode = rewriting_.mode_changes.Apply(entry->mode, entry->type);
  if (entry->type != FileType::kSymlink) return;
  std::string& target = entry->symlink_target;
  if (rewriting_.munging == LinkMunging::kMunge) target.insert(0, kMungePrefix);
  if (rewriting_.munging == LinkMunging::kUnmunge && target.starts_with(kMungePrefix))
    target.erase(0, kMungePrefix.size());
}

absl::StatusOr<std::optional<DirectoryBatch>> RewrittenManifest::Next() {
  US_ASSIGN_OR_RETURN(std::optional<DirectoryBatch> batch, source_->Next());
  if (!batch) return batch;
  if (rewriting_.mapper != nullptr) {
    US_RETURN_IF_ERROR(rewriting_.mapper->Learn({&batch->self, 1}));
    US_RETURN_IF_ERROR(rewriting_.mapper->Learn(batch->entries));
  }
  Rewrite(&batch->self);
  for (Entry& entry : batch->entries) Rewrite(&entry);
  return batch;
}

}  // namespace uringsync
