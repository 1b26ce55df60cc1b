#include "coordinator/core/proof_compare.h"

#include <compare>
#include <optional>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

// One side, object by object; beginnings of directories are passed over, for each object knows its own.
class ProofSide {
 public:
  explicit ProofSide(ProofItems* items) : items_(items) {}
  absl::Status Advance() {
    do {
      US_ASSIGN_OR_RETURN(item_, items_->Next());
    } while (item_ && !item_->object);
    return absl::OkStatus();
  }
  bool ended() const { return !item_.has_value(); }
  bool unproven() const { return item_->unproven; }
  const Entry& object() const { return *item_->object; }
  const RelPath& directory() const { return item_->directory; }
  bool is_root() const { return directory().is_root() && object().name == "."; }
  RelPath path() const { return is_root() ? RelPath() : directory().Child(object().name); }

 private:
  ProofItems* const items_;
  std::optional<ProofItem> item_;
};

// Which comes first in the order of manifests.
std::strong_ordering Order(const ProofSide& a, const ProofSide& b) {
  if (const std::strong_ordering order = a.directory() <=> b.directory(); order != 0) return order;
  if (a.is_root() || b.is_root()) return b.is_root() <=> a.is_root();
  return a.object().name.compare(b.object().name) <=> 0;
}

bool HasMode(FileType type) {
  return type != FileType::kSymlink;
}

}  // namespace

std::vector<std::string> ChangedFields(const Entry& then, const Entry& now, const MetadataSelection& selection) {
  if (then.type != now.type) return {"type"};
  std::vector<std::string> fields;
  const auto note = [&fields](bool differs, const char* field) {
    if (differs) fields.emplace_back(field);
  };
  if (then.type == FileType::kRegular) {
    note(then.size_bytes != now.size_bytes, "size");
    note(then.proof->contents != now.proof->contents, "content");
  }
  note(then.symlink_target != now.symlink_target, "target");
  note(then.rdev_major != now.rdev_major || then.rdev_minor != now.rdev_minor, "device");
  note(selection.mode && HasMode(then.type) && then.mode != now.mode, "mode");
  note(selection.owner && then.uid != now.uid, "owner");
  note(selection.group && then.gid != now.gid, "group");
  note(selection.KeepsTime(then.type) && then.mtime != now.mtime, "mtime");
  note(then.proof->attributes != now.proof->attributes, "attributes");
  return fields;
}

absl::StatusOr<ProofTotals> CompareWithProof(ProofItems& proof, ProofItems& tree, const MetadataSelection& selection,
                                             const std::function<void(const ProofDifference&)>& on_difference) {
  ProofTotals totals;
  ProofSide then(&proof);
  ProofSide now(&tree);
  US_RETURN_IF_ERROR(then.Advance());
  US_RETURN_IF_ERROR(now.Advance());
  while (!then.ended() || !now.ended()) {
    const std::strong_ordering order = then.ended()  ? std::strong_ordering::greater
                                       : now.ended() ? std::strong_ordering::less
                                                     : Order(then, now);
    if (order < 0) {
      ++totals.missing;
      on_difference({ProofDifference::Kind::kMissing, then.path(), {}});
    } else if (order > 0) {
      ++totals.extra;
      on_difference({ProofDifference::Kind::kExtra, now.path(), {}});
    } else if (now.unproven()) {
      ++totals.unproven;
    } else if (std::vector<std::string> fields = ChangedFields(then.object(), now.object(), selection);
               !fields.empty()) {
      ++totals.changed;
      on_difference({ProofDifference::Kind::kChanged, then.path(), std::move(fields)});
    }
    if (order <= 0) ++totals.objects;
    if (order <= 0) US_RETURN_IF_ERROR(then.Advance());
    if (order >= 0) US_RETURN_IF_ERROR(now.Advance());
  }
  return totals;
}

}  // namespace uringsync
