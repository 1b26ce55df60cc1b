#include "coordinator/core/asked_manifest.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

absl::Status Unasked(const RelPath& path) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "manifest of the source: it tells \"" + EscapeName(path.text()) + "\", which nobody asked for");
}

}  // namespace

AskedManifest::AskedManifest(ManifestStream* source, const std::vector<SourceOperand>& operands, PathFilterPtr filter)
    : source_(source), operands_(operands), filter_(std::move(filter)), by_path_(operands.size()) {
  std::iota(by_path_.begin(), by_path_.end(), 0u);
  std::sort(by_path_.begin(), by_path_.end(),
            [this](uint32_t a, uint32_t b) { return operands_[a].at < operands_[b].at; });
}

AskedManifest::Place AskedManifest::Find(const RelPath& path) const {
  return std::lower_bound(by_path_.begin(), by_path_.end(), path,
                          [this](uint32_t a, const RelPath& b) { return operands_[a].at < b; });
}

bool AskedManifest::LeadsToOperand(const RelPath& path) const {
  const Place place = Find(path);
  return place != by_path_.end() && At(place).at.IsWithin(path);
}

bool AskedManifest::ListsAll(const RelPath& directory) const {
  if (operands_.empty()) return true;
  for (RelPath above = directory;; above = above.Parent()) {
    for (Place place = Find(above); place != by_path_.end() && At(place).at == above; ++place) {
      const OperandDepth depth = At(place).depth;
      if (depth == OperandDepth::kTree || (depth == OperandDepth::kEntries && above == directory)) return true;
    }
    if (above.is_root()) return false;
  }
}

absl::Status AskedManifest::Check(const DirectoryBatch& batch) {
  const RelPath& directory = batch.directory;
  if (directory_ != directory) {
    lists_all_ = ListsAll(directory);
    const bool asked = lists_all_ || directory.is_root() || LeadsToOperand(directory) || ListsAll(directory.Parent());
    if (!asked) return Unasked(directory);
    directory_ = directory;
  }
  if (lists_all_ && filter_ == nullptr) return absl::OkStatus();
  for (const Entry& entry : batch.entries) {
    const RelPath path = directory.Child(entry.name);
    if (!lists_all_ && !LeadsToOperand(path)) return Unasked(path);
    const bool hidden = filter_ != nullptr && entry.error == 0 &&
                        filter_->SurelyHidden(path.text(), entry.type == FileType::kDirectory);
    // A name of a list counts for more than the rules.
    if (hidden && !LeadsToOperand(path)) return Unasked(path);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<DirectoryBatch>> AskedManifest::Next() {
  absl::StatusOr<std::optional<DirectoryBatch>> batch = source_->Next();
  if (batch.ok() && *batch) US_RETURN_IF_ERROR(Check(**batch));
  return batch;
}

}  // namespace uringsync
