// What TreeMerge does with the objects of basis directories. The rules are rsync's.
#include <utility>

#include "coordinator/core/tree_merge.h"
#include "engine/base/errno_status.h"

namespace uringsync {

// A file is looked for in the basis directories when it is not at the destination; with hard links and comparison also
// when it is, because an exact match there counts more than what the destination has. Other objects only when nothing
// has their name.
absl::StatusOr<std::optional<BasisMatch>> TreeMerge::FindBasis(const Entry& source, const Entry* destination) {
  if (bases_ == nullptr) return std::nullopt;
  if (destination != nullptr && source.type != FileType::kRegular) return std::nullopt;
  const bool pair = destination != nullptr && destination->type == source.type;
  if (pair && bases_->use() == BasisUse::kCopy) return std::nullopt;
  US_ASSIGN_OR_RETURN(std::optional<BasisMatch> match, bases_->Match(current_.path, source, options_.policy));
  if (!match || (pair && match->level != BasisMatch::Level::kExact)) return std::nullopt;
  // It is that very object already.
  if (pair && bases_->use() == BasisUse::kLink && match->basis.object.id == destination->id) return std::nullopt;
  return match;
}

absl::StatusOr<std::optional<Differences>> TreeMerge::CompareRootWithBasis(const Entry& source) {
  const bool is_new = !options_.destination_exists || options_.root_is_new;
  if (bases_ == nullptr || !is_new || source.implied) return std::nullopt;
  return bases_->CompareRoot(source, options_.policy);
}

std::optional<ActionBasis> TreeMerge::MadeFrom(const Entry& source, const BasisMatch& match) const {
  const bool link = match.level == BasisMatch::Level::kExact && bases_->use() == BasisUse::kLink;
  const bool contents = source.type == FileType::kRegular && match.level != BasisMatch::Level::kType;
  return link || contents ? std::optional(match.basis) : std::nullopt;
}

absl::Status TreeMerge::UseBasis(Entry& source, std::optional<Entry> destination, BasisMatch match) {
  const bool exact = match.level == BasisMatch::Level::kExact;
  if (exact && bases_->use() == BasisUse::kCompare) {
    US_RETURN_IF_ERROR(emitter_.InBasis(PathOf(source), source, match.basis.directory));
    if (!destination) return absl::OkStatus();
    current_.touched = true;
    PlannedAction removal = PlanEmitter::Delete(PathOf(source), *std::move(destination));
    removal.differences = Differences();
    return emitter_.Emit(Phase::kCreate, std::move(removal));
  }
  current_.touched = true;
  return PutOrJoinGroup(source, std::move(destination), match.differences, false, MadeFrom(source, match),
                        exact && bases_->use() == BasisUse::kLink);
}

absl::Status TreeMerge::UseBasisLate(Entry source, const BasisMatch& match) {
  const bool exact = match.level == BasisMatch::Level::kExact;
  if (exact && bases_->use() == BasisUse::kCompare)
    return emitter_.InBasis(current_.path, source, match.basis.directory);
  std::optional<ActionBasis> basis = MadeFrom(source, match);
  return PutLate(std::move(source), match.differences, std::move(basis), exact && bases_->use() == BasisUse::kLink);
}

absl::Status TreeMerge::PutLate(Entry source, Differences differences, std::optional<ActionBasis> basis,
                                bool link_basis) {
  if (options_.preserve_hard_links && source.nlink > 1) {
    return links_.Add({current_.parent, current_.path, std::move(source), std::nullopt, differences, std::move(basis),
                       link_basis, true});
  }
  PlannedAction planned = PlanEmitter::Put(current_.path, std::move(source), std::nullopt, differences);
  PlanEmitter::AddBasis(std::move(basis), link_basis, &planned);
  return deferred_.AddLateCreate(planned);
}

}  // namespace uringsync
