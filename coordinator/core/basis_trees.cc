#include "coordinator/core/basis_trees.h"

#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {

bool BasisCursor::InOrder(bool first) const {
  const bool goes_on = !last_complete_ && batch_->directory == last_directory_;
  if (!first && !goes_on && !(last_complete_ && last_directory_ < batch_->directory)) return false;
  const std::string* previous = goes_on && !last_name_.empty() ? &last_name_ : nullptr;
  for (const Entry& entry : batch_->entries) {
    if (entry.name.empty() || (previous != nullptr && !(*previous < entry.name))) return false;
    previous = &entry.name;
  }
  return true;
}

absl::Status BasisCursor::Load() {
  if (batch_) {
    last_directory_ = batch_->directory;
    last_complete_ = batch_->last;
    if (last_complete_) {
      last_name_.clear();
    } else if (!batch_->entries.empty()) {
      last_name_ = batch_->entries.back().name;
    }
  }
  US_ASSIGN_OR_RETURN(std::optional<DirectoryBatch> batch, stream_->Next());
  next_ = 0;
  const bool first = !std::exchange(begun_, true);
  batch_ = std::move(batch);
  if (!batch_ || (InOrder(first) && !batch_->folded)) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "manifest of a basis directory: \"" + EscapeName(batch_->directory.text()) + "\" is out of order");
}

absl::StatusOr<const Entry*> BasisCursor::Find(const RelPath& directory, const std::string& name) {
  if (!begun_) US_RETURN_IF_ERROR(Load());
  while (batch_) {
    if (directory < batch_->directory) return nullptr;
    if (batch_->directory == directory) {
      const std::vector<Entry>& entries = batch_->entries;
      while (next_ < entries.size() && entries[next_].name < name) ++next_;
      if (next_ < entries.size()) return entries[next_].name == name ? &entries[next_] : nullptr;
      if (batch_->last) return nullptr;
    }
    US_RETURN_IF_ERROR(Load());
  }
  return nullptr;
}

absl::StatusOr<const Entry*> BasisCursor::Root() {
  if (!begun_) US_RETURN_IF_ERROR(Load());
  return batch_ && batch_->directory.is_root() && !batch_->self.implied ? &batch_->self : nullptr;
}

BasisTrees::BasisTrees(BasisUse use, const std::vector<ManifestStream*>& streams) : use_(use) {
  for (ManifestStream* stream : streams) cursors_.emplace_back(stream);
}

absl::StatusOr<std::optional<Differences>> BasisTrees::CompareRoot(const Entry& source, const ComparePolicy& policy) {
  std::optional<Differences> best;
  for (BasisCursor& cursor : cursors_) {
    US_ASSIGN_OR_RETURN(const Entry* root, cursor.Root());
    if (root == nullptr || root->error != 0) continue;
    const Differences differences = Compare(source, *root, policy);
    if (!best || (differences.empty() && !best->empty())) best = differences;
  }
  return best;
}

absl::StatusOr<std::optional<BasisMatch>> BasisTrees::Match(const RelPath& directory, const Entry& source,
                                                            const ComparePolicy& policy) {
  std::optional<BasisMatch> best;
  for (size_t i = 0; i < cursors_.size(); ++i) {
    US_ASSIGN_OR_RETURN(const Entry* entry, cursors_[i].Find(directory, source.name));
    if (entry == nullptr || entry->error != 0 || entry->type != source.type) continue;
    const Differences differences = Compare(source, *entry, policy);
    BasisMatch::Level level = BasisMatch::Level::kType;
    if (!differences.NeedsObject())
      level = differences.empty() ? BasisMatch::Level::kExact : BasisMatch::Level::kContents;
    if (best && best->level >= level) continue;
    best = BasisMatch{level, ActionBasis{static_cast<uint32_t>(i), *entry}, differences};
  }
  return best;
}

}  // namespace uringsync
