#include "coordinator/core/tree_merge.h"

#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

std::string Show(const RelPath& path) {
  return path.is_root() ? "the root" : "\"" + EscapeName(path.text()) + "\"";
}

}  // namespace

TreeMerge::TreeMerge(Parts parts, Driver* driver, const std::string& spool_directory)
    : options_(parts.options),
      source_(parts.source),
      destination_(parts.destination),
      emitter_(parts.emitter),
      links_(parts.links),
      deferred_(parts.deferred),
      bases_(parts.bases),
      moved_(parts.moved),
      pending_(driver, spool_directory) {}

absl::Status TreeMerge::Run() {
  PendingDirectory root;
  root.plan = options_.destination_exists ? DirectoryPlan::kMerge : DirectoryPlan::kCreate;
  root.source = Expect::kRequired;
  root.destination = options_.destination_exists ? Expect::kRequired : Expect::kAbsent;
  US_RETURN_IF_ERROR(MergeDirectory(root, RelPath()));
  RelPath parent;  // whose subdirectories the top level holds
  while (!pending_.empty()) {
    US_ASSIGN_OR_RETURN(std::optional<PendingDirectory> next, pending_.Next());
    if (!next) {
      pending_.PopLevel();
      parent = parent.Parent();
      continue;
    }
    // What is only at the destination goes only where the source's listing proves that it is not there.
    if (next->plan == DirectoryPlan::kExtraneous && !pending_.top().may_delete) next->plan = DirectoryPlan::kLeave;
    parent = parent.Child(next->name);
    US_RETURN_IF_ERROR(MergeDirectory(*next, parent));
  }
  US_RETURN_IF_ERROR(source_.ExpectEnd());
  return options_.destination_exists ? destination_.ExpectEnd() : absl::OkStatus();
}

absl::Status TreeMerge::MergeDirectory(const PendingDirectory& directory, RelPath path) {
  current_ = Current();
  current_.path = std::move(path);
  current_.number = ++directories_;
  current_.plan = directory.plan;
  DeletePlace place =
      directory.plan == DirectoryPlan::kMakeWay && directory.source_entry ? DeletePlace::kMakesWay : DeletePlace::kTop;
  if (!pending_.empty()) {
    current_.parent = pending_.top().number;
    if (pending_.top().goes) place = pending_.top().makes_way ? DeletePlace::kInTheWay : DeletePlace::kNested;
    current_.makes_way = pending_.top().makes_way && pending_.top().goes;
  }
  pending_.PushLevel(current_.number);
  US_RETURN_IF_ERROR(EnterBoth(directory));
  if (options_.keep_directory_links && current_.plan == DirectoryPlan::kMerge && current_.has_destination)
    US_RETURN_IF_ERROR(deferred_.NoteMerged(destination_.self().id, current_.path, directory.by_link));
  if (current_.plan == DirectoryPlan::kMakeWay) {
    US_RETURN_IF_ERROR(MakeWay(directory));
    current_.makes_way = true;
  }
  // Number 0: no listing takes this delete back, the proof was there before (or the source has another object of that
  // name).
  if (current_.plan == DirectoryPlan::kExtraneous) {
    US_RETURN_IF_ERROR(deferred_.AddDelete(0, place, current_.path, destination_.self()));
    if (options_.keep_directory_links) US_RETURN_IF_ERROR(deferred_.NoteDoomed(destination_.self().id, current_.path));
    if (options_.backup_directory && options_.backup_directory->IsWithin(current_.path))
      US_RETURN_IF_ERROR(KeepCurrent());
  }
  if (current_.plan == DirectoryPlan::kMerge && current_.has_source && current_.has_destination &&
      destination_.listing_error() != 0) {
    // Nothing can be said of what is there, so nothing below is tried; its own metadata may be what has to be repaired.
    current_.plan = DirectoryPlan::kBlocked;
  }
  US_RETURN_IF_ERROR(CountMatched());
  US_RETURN_IF_ERROR(MergeEntries());
  return FinishDirectory(directory);
}

// Entries that are equal on both sides and stand in one digest.
absl::Status TreeMerge::CountMatched() {
  const FoldedEntries* source = current_.has_source ? source_.matched() : nullptr;
  const FoldedEntries* destination = current_.has_destination ? destination_.matched() : nullptr;
  if ((source == nullptr) != (destination == nullptr)) {
    return source_.Broken("the directory " + Show(current_.path) + " came where none was listed");
  }
  if (source == nullptr) return absl::OkStatus();
  PlanCounters& counters = emitter_.counters();
  counters.source_entries += source->entries;
  counters.source_files += source->files;
  counters.source_bytes += source->bytes;
  counters.destination_entries += destination->entries;
  counters.told_by_digest += source->entries;
  if (current_.plan == DirectoryPlan::kMerge) counters.unchanged += source->entries;
  if (current_.plan == DirectoryPlan::kBlocked) counters.skipped_below_problem += source->entries;
  return absl::OkStatus();
}

absl::Status TreeMerge::EnterBoth(const PendingDirectory& directory) {
  if (directory.source != Expect::kAbsent) {
    US_ASSIGN_OR_RETURN(current_.has_source, source_.Enter(current_.path));
    if (!current_.has_source && directory.source == Expect::kRequired) {
      return source_.Broken("the batch of " + Show(current_.path) + " is missing or out of order");
    }
  }
  if (directory.destination != Expect::kAbsent) {
    US_ASSIGN_OR_RETURN(current_.has_destination, destination_.Enter(current_.path));
    if (!current_.has_destination && directory.destination == Expect::kRequired) {
      return destination_.Broken("the batch of " + Show(current_.path) + " is missing or out of order");
    }
  }
  if (current_.path.is_root())
    CountEntries(current_.has_source ? &source_.self() : nullptr,
                 current_.has_destination ? &destination_.self() : nullptr);
  if (current_.path.is_root() && current_.has_source) {
    US_ASSIGN_OR_RETURN(root_beside_basis_, CompareRootWithBasis(source_.self()));
  }
  if (current_.path.is_root() && !options_.destination_exists && !source_.self().implied) {
    Entry root = source_.self();
    const Differences differences = root_beside_basis_.value_or(CompareMissing(root, options_.policy));
    return emitter_.Emit(Phase::kCreate,
                         PlanEmitter::MakeDirectory(RelPath(), std::move(root), std::nullopt, differences));
  }
  return absl::OkStatus();
}

absl::Status TreeMerge::MergeEntries() {
  while (true) {
    Entry* source = nullptr;
    Entry* destination = nullptr;
    if (current_.has_source) {
      US_ASSIGN_OR_RETURN(source, source_.Peek());
    }
    if (current_.has_destination) {
      US_ASSIGN_OR_RETURN(destination, destination_.Peek());
    }
    if (source == nullptr && destination == nullptr) return absl::OkStatus();
    const int order = source == nullptr ? 1 : destination == nullptr ? -1 : source->name.compare(destination->name);
    if (order > 0) source = nullptr;
    if (order < 0) destination = nullptr;
    CountEntries(source, destination);
    US_RETURN_IF_ERROR(Visit(source, destination));
    if (source != nullptr) source_.Pop();
    if (destination != nullptr) destination_.Pop();
  }
}

void TreeMerge::CountEntries(const Entry* source, const Entry* destination) {
  PlanCounters& counters = emitter_.counters();
  if (destination != nullptr) ++counters.destination_entries;
  if (source == nullptr) return;
  ++counters.source_entries;
  if (source->implied || source->error != 0) return;  // no object of the transfer
  switch (source->type) {
    case FileType::kRegular:
      ++counters.source_files;
      counters.source_bytes += source->size_bytes;
      return;
    case FileType::kDirectory: ++counters.source_directories; return;
    case FileType::kSymlink:
      ++counters.source_symlinks;
      counters.source_symlink_bytes += source->size_bytes;
      return;
    case FileType::kBlockDevice:
    case FileType::kCharDevice: ++counters.source_devices; return;
    case FileType::kFifo:
    case FileType::kSocket: ++counters.source_specials; return;
  }
}

absl::Status TreeMerge::Visit(Entry* source, Entry* destination) {
  if (destination != nullptr && destination->directory_link) return VisitDirectoryLink(source, *destination);
  switch (current_.plan) {
    case DirectoryPlan::kMerge:
    case DirectoryPlan::kCreate:
      if (source == nullptr) return VisitExtraneous(*destination);
      return destination == nullptr ? VisitNew(*source) : VisitPair(*source, *destination);
    case DirectoryPlan::kExtraneous:
    case DirectoryPlan::kMakeWay: return VisitExtraneous(*destination);
    case DirectoryPlan::kLeave: return VisitIgnored(source, destination, DirectoryPlan::kLeave);
    case DirectoryPlan::kBlocked:
      if (source != nullptr) {
        US_RETURN_IF_ERROR(emitter_.Skip(SkipReason::kBelowProblem, PathOf(*source), source->type));
      }
      return VisitIgnored(source, destination, DirectoryPlan::kBlocked);
    case DirectoryPlan::kKept: return VisitKept(*source);
  }
  return absl::OkStatus();
}

absl::Status TreeMerge::ReportListings() {
  if (current_.has_source && (current_.plan != DirectoryPlan::kLeave || source_.self().error == 0)) {
    if (const int error = source_.listing_error(); error != 0) {
      // An operand whose contents were meant, and which is no directory.
      const bool operand = current_.path.is_root() && (error == ENOENT || error == ENOTDIR || error == ELOOP);
      if (current_.path.is_root()) in_doubt_ = true;
      US_RETURN_IF_ERROR(operand ? emitter_.OperandProblem(error, current_.path, "change_dir")
                                 : emitter_.LookProblem(Side::kSource, error, current_.path, "list"));
    } else if (source_.self().error != 0) {
      US_RETURN_IF_ERROR(emitter_.LookProblem(Side::kSource, source_.self().error, current_.path, "stat"));
    }
  }
  // A directory of the destination that nobody asked about may be as unreadable as it likes.
  if (current_.has_destination && destination_.listing_error() != 0 && current_.plan != DirectoryPlan::kLeave) {
    US_RETURN_IF_ERROR(emitter_.LookProblem(Side::kDestination, destination_.listing_error(), current_.path, "list"));
    // As with rsync it may be empty all the same, and go.
    if (current_.plan == DirectoryPlan::kExtraneous && !options_.rules.errors_spare_all)
      return deferred_.KeepDirectory(current_.path);
  }
  if (current_.plan == DirectoryPlan::kExtraneous && current_.has_destination && destination_.holds_excluded()) {
    return deferred_.KeepDirectory(current_.path);
  }
  return absl::OkStatus();
}

absl::Status TreeMerge::FinishDirectory(const PendingDirectory& directory) {
  US_RETURN_IF_ERROR(ReportListings());
  bool may_delete = false;
  switch (current_.plan) {
    case DirectoryPlan::kMerge:
    case DirectoryPlan::kCreate:
      may_delete = current_.has_source && ListedWhole();
      if (current_.has_source && !source_.partial() && (current_.has_destination || !options_.only_planned))
        deferred_.NoteDeletable();
      if (!may_delete && current_.recorded_delete) US_RETURN_IF_ERROR(deferred_.VoidDeletes(current_.number));
      if (!may_delete) current_.recorded_delete = false;
      break;
    case DirectoryPlan::kExtraneous: may_delete = true; break;
    default: break;
  }
  pending_.top().may_delete = may_delete;
  pending_.top().goes = current_.plan == DirectoryPlan::kExtraneous;
  pending_.top().makes_way = current_.makes_way;
  if (current_.recorded_delete) current_.touched = true;
  return PlanDirectoryMetadata(directory);
}

absl::Status TreeMerge::PlanDirectoryMetadata(const PendingDirectory& directory) {
  const bool from_batch = current_.has_source;
  if (!from_batch && !directory.source_entry) return absl::OkStatus();
  switch (current_.plan) {
    case DirectoryPlan::kMerge:
    case DirectoryPlan::kCreate:
    case DirectoryPlan::kBlocked: break;
    default: return absl::OkStatus();
  }
  if (current_.path.is_root() && options_.omit_root_metadata) return absl::OkStatus();
  Entry source = from_batch ? source_.self() : *directory.source_entry;
  if (source.implied) return absl::OkStatus();     // it only leads to what is in the transfer
  if (source.error != 0) return absl::OkStatus();  // told as a problem already: its listing failed, or the entry itself
  std::optional<Entry> existing;
  if (current_.has_destination) {
    existing = destination_.self();
  } else {
    existing = directory.destination_entry;
  }
  if (current_.plan == DirectoryPlan::kBlocked && (!existing || existing->error != 0)) return absl::OkStatus();
  if (current_.plan == DirectoryPlan::kCreate) {
    // Made in this run; its differences were told with it.
    const bool has_xattrs =
        !source.xattr_digest.is_zero() || !source.capability_digest.is_zero() || !source.trusted_digest.is_zero();
    PlannedAction planned = PlanEmitter::SetMetadata(current_.path, std::move(source), std::nullopt, Differences());
    planned.action.xattrs_differ = has_xattrs;
    return deferred_.AddDirectory(current_.number, planned, true);
  }
  if (!existing || existing->error != 0) return absl::OkStatus();
  const bool new_root = current_.path.is_root() && options_.root_is_new;
  Differences differences = Compare(source, *existing, options_.policy);
  emitter_.CountLeftOut(differences);
  if (new_root) {
    PlannedAction planned =
        PlanEmitter::SetMetadata(current_.path, std::move(source), std::move(existing), differences);
    planned.action.existing.reset();
    planned.differences = root_beside_basis_.value_or(differences);
    return deferred_.AddDirectory(current_.number, planned, true);
  }
  const bool moved = options_.rules.tell_times_moved_by_deletes && current_.recorded_delete &&
                     !differences.Has(Attribute::kMtime) && options_.policy.selection.KeepsTime(FileType::kDirectory);
  const bool always = !differences.empty() || current_.touched;
  if (!always && !current_.maybe_touched) {
    return emitter_.Unchanged(current_.path, source);
  }
  return deferred_.AddDirectory(
      current_.number, PlanEmitter::SetMetadata(current_.path, std::move(source), std::move(existing), differences),
      always, moved);
}

absl::Status TreeMerge::DeleteMissing() {
  current_.plan = DirectoryPlan::kLeave;
  US_ASSIGN_OR_RETURN(const Entry* first, destination_.Peek());
  if (destination_.listing_error() != 0) {
    return emitter_.LookProblem(Side::kDestination, destination_.listing_error(), current_.path, "list");
  }
  const bool remove_all = options_.delete_extraneous || options_.force_delete;
  if (first != nullptr && !remove_all) return emitter_.Skip(SkipReason::kNotEmpty, current_.path, FileType::kDirectory);
  current_.plan = DirectoryPlan::kExtraneous;
  return deferred_.Touch(current_.parent);
}

absl::Status TreeMerge::MakeWay(const PendingDirectory& directory) {
  if (!directory.source_entry) return DeleteMissing();
  Entry wanted = *directory.source_entry;
  const bool remove_all = options_.delete_extraneous || options_.force_delete;
  current_.plan = DirectoryPlan::kLeave;
  US_ASSIGN_OR_RETURN(const Entry* first, destination_.Peek());
  if (destination_.listing_error() != 0) {
    return emitter_.LookProblem(Side::kDestination, destination_.listing_error(), current_.path, "list");
  }
  if (first != nullptr && !remove_all) {
    return emitter_.Problem(Side::kDestination, 0, current_.path, "replace",
                            std::string("a directory that is not empty is in the way of a ") +
                                FileTypeName(wanted.type) + "; --delete or --force removes it",
                            ProblemKind::kConflict);
  }
  current_.plan = DirectoryPlan::kExtraneous;
  US_RETURN_IF_ERROR(deferred_.Touch(current_.parent));
  if (directory.basis) return UseBasisLate(std::move(wanted), *directory.basis);
  const Differences differences = Differences::FromMask(static_cast<uint32_t>(Attribute::kType));
  return PutLate(std::move(wanted), differences, std::nullopt, false);
}

}  // namespace uringsync
