// What TreeMerge decides for one name.
#include <cerrno>
#include <utility>

#include "coordinator/core/tree_merge.h"
#include "engine/base/errno_status.h"
#include "engine/base/link_rules.h"

namespace uringsync {
namespace {

bool IsDirectory(const Entry* entry) {
  return entry != nullptr && entry->type == FileType::kDirectory;
}

Expect ExpectationOf(const Entry* entry) {
  if (!IsDirectory(entry) || entry->not_entered || entry->pruned) return Expect::kAbsent;
  // One that could not be looked at may be gone before it is scanned.
  return entry->error != 0 ? Expect::kOptional : Expect::kRequired;
}

}  // namespace

std::optional<SkipReason> TreeMerge::SkipReasonFor(const Entry& source, const Entry* destination) const {
  switch (source.type) {
    case FileType::kRegular:
    case FileType::kDirectory: return std::nullopt;
    case FileType::kSymlink: return options_.symlinks ? std::nullopt : std::optional(SkipReason::kSymlinkOff);
    case FileType::kFifo:
    case FileType::kSocket: return options_.specials ? std::nullopt : std::optional(SkipReason::kSpecialOff);
    case FileType::kBlockDevice:
    case FileType::kCharDevice: break;
  }
  if (!options_.devices) return SkipReason::kDeviceOff;
  if (options_.can_mknod) return std::nullopt;
  // One that is there already can still be given its metadata.
  const bool there = destination != nullptr && destination->type == source.type &&
                     destination->rdev_major == source.rdev_major && destination->rdev_minor == source.rdev_minor;
  return there ? std::nullopt : std::optional(SkipReason::kNoMknod);
}

std::optional<SkipReason> TreeMerge::RuleAgainst(const Entry& source, const Entry* destination) const {
  const TransferRules& rules = options_.rules;
  const bool both_directories = IsDirectory(&source) && IsDirectory(destination);
  if (destination != nullptr && rules.ignore_existing && !both_directories) return SkipReason::kExists;
  if (source.type == FileType::kSymlink && options_.symlinks && rules.safe_links &&
      IsUnsafeLink(source.symlink_target, current_.path.depth())) {
    return SkipReason::kUnsafeLink;
  }
  if (source.type != FileType::kRegular) return std::nullopt;
  if (rules.max_size && source.size_bytes > *rules.max_size) return SkipReason::kTooLarge;
  if (rules.min_size && source.size_bytes < *rules.min_size) return SkipReason::kTooSmall;
  if (!rules.update || destination == nullptr || destination->type != FileType::kRegular) return std::nullopt;
  const bool newer =
      destination->mtime > source.mtime && !options_.policy.SameKeptTime(source.mtime, destination->mtime);
  // Within a window that is not zero, what is not older counts as newer, as with rsync.
  const std::optional<uint32_t> window = options_.policy.selection.modify_window_s;
  const auto ahead_s = static_cast<__int128>(source.mtime.seconds) - destination->mtime.seconds;
  const bool level = window.value_or(0) > 0 && ahead_s < *window;
  return newer || level ? std::optional(SkipReason::kNewer) : std::nullopt;
}

absl::Status TreeMerge::LeaveOutByRule(SkipReason reason, const Entry& source, const Entry* destination) {
  US_RETURN_IF_ERROR(emitter_.Skip(reason, PathOf(source), source));
  if (reason == SkipReason::kExists && IsDirectory(&source)) {
    US_RETURN_IF_ERROR(VisitIgnored(&source, nullptr, DirectoryPlan::kKept));
    return absl::OkStatus();
  }
  return VisitIgnored(&source, destination, DirectoryPlan::kLeave);
}

absl::Status TreeMerge::VisitDirectoryLink(Entry* source, Entry& destination) {
  destination.directory_link = false;
  const bool merges = current_.plan == DirectoryPlan::kMerge && IsDirectory(source) && source->error == 0 &&
                      !source->not_entered && (options_.keep_directory_links || source->implied);
  if (merges) {
    // What the directory is like is in its own batch.
    destination.type = FileType::kDirectory;
    destination.symlink_target.clear();
    by_link_ = true;
    const absl::Status visited = Visit(source, &destination);
    by_link_ = false;
    return visited;
  }
  // The link is an object like any other, and what it leads to is nobody's business.
  Entry behind = destination;
  behind.type = FileType::kDirectory;
  destination.error = 0;
  US_RETURN_IF_ERROR(Visit(source, &destination));
  return behind.error != 0 ? absl::OkStatus() : VisitIgnored(nullptr, &behind, DirectoryPlan::kLeave);
}

// Below a directory of the source whose name something else has at the destination, and keeps (--ignore-existing,
// --no-implied-dirs).
absl::Status TreeMerge::VisitKept(const Entry& source) {
  std::optional<SkipReason> reason = SkipReasonFor(source, nullptr);
  if (!reason) reason = RuleAgainst(source, nullptr);
  if (reason) return emitter_.Skip(*reason, PathOf(source), source.type);
  if (!current_.told_kept) {
    current_.told_kept = true;
    US_RETURN_IF_ERROR(
        emitter_.Problem(Side::kDestination, ENOTDIR, current_.path, "mkdir", "what has its name is left as it is"));
  }
  US_RETURN_IF_ERROR(emitter_.Skip(SkipReason::kBelowProblem, PathOf(source), source.type));
  return VisitIgnored(&source, nullptr, DirectoryPlan::kKept);
}

absl::Status TreeMerge::LeaveOut(SkipReason reason, const Entry& source) {
  // A device that was asked for by name and cannot be made did not reach the asked state.
  if (reason == SkipReason::kNoMknod && options_.explicit_devices) {
    return emitter_.Problem(Side::kDestination, EPERM, PathOf(source), "mknod");
  }
  return emitter_.Skip(reason, PathOf(source), source);
}

absl::Status TreeMerge::VisitIgnored(const Entry* source, const Entry* destination, DirectoryPlan plan) {
  // It stays as it is.
  if (moved_ != nullptr && source == nullptr && destination != nullptr && destination->error == 0) {
    US_RETURN_IF_ERROR(moved_->AddCandidate(PathOf(*destination), *destination, ActionOrigin::Fate::kStays));
  }
  const Expect in_source = ExpectationOf(source);
  const Expect in_destination = ExpectationOf(destination);
  if (in_source == Expect::kAbsent && in_destination == Expect::kAbsent) return absl::OkStatus();
  PendingDirectory directory;
  directory.name = source != nullptr ? source->name : destination->name;
  directory.plan = plan;
  directory.source = in_source;
  directory.destination = in_destination;
  return pending_.Add(directory);
}

absl::Status TreeMerge::VisitExtraneous(Entry& destination) {
  // An error that shows only in a later batch takes the deletes back (FinishDirectory).
  const bool proven_absent = current_.has_source && ListedWhole();
  const bool remove = current_.plan == DirectoryPlan::kExtraneous || (options_.delete_extraneous && proven_absent);
  if (!remove) return VisitIgnored(nullptr, &destination, DirectoryPlan::kLeave);
  const bool parent_goes = current_.plan == DirectoryPlan::kExtraneous;
  if (destination.protection == Protection::kAlways ||
      (destination.protection == Protection::kUnlessParentGoes && !parent_goes)) {
    if (parent_goes) US_RETURN_IF_ERROR(deferred_.KeepDirectory(current_.path));
    return VisitIgnored(nullptr, &destination, DirectoryPlan::kLeave);
  }
  RelPath path = PathOf(destination);
  if (IsBackup(path)) {
    US_RETURN_IF_ERROR(KeepCurrent());
    return VisitIgnored(nullptr, &destination, DirectoryPlan::kLeave);
  }
  if (destination.pruned) {
    US_RETURN_IF_ERROR(KeepCurrent());
    return ReportPruned(path);
  }
  if (destination.error != 0 || destination.not_entered) {
    US_RETURN_IF_ERROR(KeepCurrent());
    US_RETURN_IF_ERROR(destination.error != 0
                           ? emitter_.LookProblem(Side::kDestination, destination.error, path, "stat")
                           : emitter_.Skip(SkipReason::kMountPoint, path, destination.type));
    return VisitIgnored(nullptr, &destination, DirectoryPlan::kLeave);
  }
  current_.recorded_delete = true;
  // A directory is recorded when its own batch comes, so that it is removed right after what is in it.
  if (IsDirectory(&destination)) return VisitIgnored(nullptr, &destination, DirectoryPlan::kExtraneous);
  // Its backup stays in the directory.
  if (!options_.backup_suffix.empty()) US_RETURN_IF_ERROR(KeepCurrent());
  const DeletePlace inside = current_.makes_way ? DeletePlace::kInTheWay : DeletePlace::kNested;
  const bool nested = current_.plan == DirectoryPlan::kExtraneous;
  return deferred_.AddDelete(current_.number, nested ? inside : DeletePlace::kTop, path, destination);
}

bool TreeMerge::IsBackup(const RelPath& path) const {
  if (!options_.backup_suffix.empty() && path.name().ends_with(options_.backup_suffix)) return true;
  return options_.backup_directory && path.IsWithin(*options_.backup_directory);
}

absl::Status TreeMerge::KeepCurrent() {
  if (current_.plan != DirectoryPlan::kExtraneous || std::exchange(current_.kept, true)) return absl::OkStatus();
  return deferred_.KeepDirectory(current_.path);
}

// A directory that was equal on both sides when the indexes were asked, and no longer is.
absl::Status TreeMerge::ReportPruned(const RelPath& path) {
  return emitter_.Problem(Side::kCoordinator, 0, path, "compare", "the directory changed while it was compared",
                          ProblemKind::kChanged);
}

absl::Status TreeMerge::ReportUnseen(const Entry& source) {
  // What vanished is in no manifest: this one is followed and leads nowhere.
  if (source.type == FileType::kSymlink && source.error == ENOENT) {
    return emitter_.LinkProblem(PathOf(source));
  }
  if (!source_.partial()) return emitter_.LookProblem(Side::kSource, source.error, PathOf(source), "stat");
  // As with rsync: what is not there is no doubt about the rest, what cannot be looked at is one.
  if (source.error != ENOENT) in_doubt_ = true;
  return emitter_.OperandProblem(source.error, PathOf(source), "link_stat");
}

absl::Status TreeMerge::VisitMissing(const Entry& source, Entry* destination) {
  const bool deletes =
      destination != nullptr && options_.rules.missing_operands == MissingOperands::kDelete && destination->error == 0;
  if (!deletes) return VisitIgnored(&source, destination, DirectoryPlan::kLeave);
  current_.touched = true;
  if (IsDirectory(destination) && !destination->not_entered) {
    // What is in it decides, when its own batch comes.
    PendingDirectory directory;
    directory.name = destination->name;
    directory.plan = DirectoryPlan::kMakeWay;
    directory.destination = Expect::kRequired;
    return pending_.Add(directory);
  }
  // Number 0: no listing takes it back, the operand itself was looked for.
  return deferred_.AddDelete(0, DeletePlace::kTop, PathOf(*destination), *destination);
}

absl::Status TreeMerge::VisitNew(Entry& source) {
  if (IsMissing(source)) return VisitMissing(source, nullptr);
  if (source.error != 0) {
    US_RETURN_IF_ERROR(ReportUnseen(source));
    return VisitIgnored(&source, nullptr, DirectoryPlan::kLeave);
  }
  if (source.pruned) return ReportPruned(PathOf(source));
  // As with rsync a name that is not to be made is not looked at further.
  if (options_.rules.existing_only) return LeaveOutByRule(SkipReason::kNotExisting, source, nullptr);
  if (const std::optional<SkipReason> reason = SkipReasonFor(source, nullptr)) {
    return LeaveOut(*reason, source);
  }
  if (const std::optional<SkipReason> rule = RuleAgainst(source, nullptr))
    return LeaveOutByRule(*rule, source, nullptr);
  Differences differences = CompareMissing(source, options_.policy);
  emitter_.CountLeftOut(differences);
  US_ASSIGN_OR_RETURN(std::optional<BasisMatch> match, FindBasis(source, nullptr));
  if (match && source.type != FileType::kDirectory) return UseBasis(source, std::nullopt, *std::move(match));
  current_.touched = true;
  if (source.type != FileType::kDirectory) return PutOrJoinGroup(source, std::nullopt, differences, false);
  if (match) differences = match->differences;
  PendingDirectory directory;
  directory.name = source.name;
  directory.plan = DirectoryPlan::kCreate;
  directory.source = ExpectationOf(&source);
  if (source.not_entered) directory.source_entry = source;
  US_RETURN_IF_ERROR(pending_.Add(directory));
  RelPath path = PathOf(source);
  return emitter_.Emit(Phase::kCreate,
                       PlanEmitter::MakeDirectory(std::move(path), std::move(source), std::nullopt, differences));
}

absl::Status TreeMerge::VisitPair(Entry& source, Entry& destination) {
  if (IsMissing(source)) return VisitMissing(source, &destination);
  // What is in the way of something that is no part of the transfer itself stays.
  if (source.implied && !IsDirectory(&destination)) return VisitIgnored(&source, nullptr, DirectoryPlan::kKept);
  if (source.error != 0) {
    US_RETURN_IF_ERROR(ReportUnseen(source));
    // To rsync a link that leads nowhere is not there at all.
    const bool absent = source.type == FileType::kSymlink && source.error == ENOENT && options_.rules.errors_spare_all;
    return absent ? VisitExtraneous(destination) : VisitIgnored(&source, &destination, DirectoryPlan::kLeave);
  }
  if (const std::optional<SkipReason> rule = RuleAgainst(source, &destination)) {
    return LeaveOutByRule(*rule, source, &destination);
  }
  if (const std::optional<SkipReason> reason = SkipReasonFor(source, &destination)) {
    US_RETURN_IF_ERROR(LeaveOut(*reason, source));
    return VisitIgnored(nullptr, &destination, DirectoryPlan::kLeave);
  }
  if (destination.error != 0) {
    US_RETURN_IF_ERROR(emitter_.LookProblem(Side::kDestination, destination.error, PathOf(source), "stat"));
    return VisitIgnored(&source, &destination, DirectoryPlan::kBlocked);
  }
  if (source.pruned && destination.pruned) {
    ++emitter_.counters().unchanged;
    return absl::OkStatus();
  }
  if (source.pruned || destination.pruned) {
    US_RETURN_IF_ERROR(ReportPruned(PathOf(source)));
    return VisitIgnored(&source, &destination, DirectoryPlan::kLeave);
  }
  if (IsDirectory(&source) && IsDirectory(&destination)) return PairDirectories(source, destination);
  return source.type == destination.type ? PairSameType(source, destination) : PairOtherType(source, destination);
}

absl::Status TreeMerge::PairDirectories(Entry& source, Entry& destination) {
  PendingDirectory directory;
  directory.name = source.name;
  directory.plan = DirectoryPlan::kMerge;
  directory.source = ExpectationOf(&source);
  directory.destination = ExpectationOf(&destination);
  directory.by_link = by_link_;
  if (source.not_entered) {
    // Like an empty directory, but nothing of it says what should be inside: only its metadata is compared. A kMerge
    // without a source listing deletes nothing.
    directory.source_entry = source;
    directory.destination_entry = destination;
  } else if (destination.not_entered) {
    directory.plan = DirectoryPlan::kBlocked;
    US_RETURN_IF_ERROR(emitter_.Problem(Side::kDestination, 0, PathOf(source), "enter",
                                        "a mount point, and the run stays on one file system"));
  }
  return pending_.Add(directory);
}

absl::Status TreeMerge::PairSameType(Entry& source, Entry& destination) {
  US_ASSIGN_OR_RETURN(std::optional<BasisMatch> match, FindBasis(source, &destination));
  if (match) return UseBasis(source, std::move(destination), *std::move(match));
  const Differences differences = Compare(source, destination, options_.policy);
  emitter_.CountLeftOut(differences);
  const bool remake = differences.NeedsObject();
  if (remake && options_.rules.append && source.type == FileType::kRegular &&
      destination.size_bytes >= source.size_bytes) {
    return emitter_.Skip(SkipReason::kNotShorter, PathOf(source), source.type);
  }
  if (options_.preserve_hard_links && (source.nlink > 1 || (destination.nlink > 1 && !remake))) {
    if (remake) {
      current_.touched = true;
    } else {
      current_.maybe_touched = true;
    }
    RelPath path = PathOf(source);
    return links_.Add({current_.number, std::move(path), std::move(source), std::move(destination), differences,
                       std::nullopt, false, false});
  }
  if (differences.empty()) {
    // Most objects of most runs: no path is put together for nobody.
    if (emitter_.tells_unchanged()) return emitter_.Unchanged(PathOf(source), source);
    ++emitter_.counters().unchanged;
    return absl::OkStatus();
  }
  RelPath path = PathOf(source);
  // Where links are not kept, an inode that other names share is not changed through this one.
  if (remake || (!options_.preserve_hard_links && destination.nlink > 1)) {
    current_.touched = true;
    return emitter_.Emit(Phase::kCreate,
                         PlanEmitter::Put(std::move(path), std::move(source), std::move(destination), differences));
  }
  return emitter_.Emit(Phase::kCreate, PlanEmitter::SetMetadata(std::move(path), std::move(source),
                                                                std::move(destination), differences));
}

// As with rsync a device holds nothing that could be compared: it is taken for an empty file.
absl::Status TreeMerge::PairDevice(Entry& source, Entry& destination) {
  Entry file = destination;
  file.type = FileType::kRegular;
  file.size_bytes = 0;
  const Differences differences = Compare(source, file, options_.policy);
  emitter_.CountLeftOut(differences);
  if (differences.empty()) return emitter_.Unchanged(PathOf(source), source);
  RelPath path = PathOf(source);
  return emitter_.Emit(
      Phase::kCreate,
      differences.NeedsObject()
          ? PlanEmitter::Put(std::move(path), std::move(source), std::move(destination), differences)
          : PlanEmitter::SetMetadata(std::move(path), std::move(source), std::move(destination), differences));
}

absl::Status TreeMerge::PairOtherType(Entry& source, Entry& destination) {
  const bool device = destination.type == FileType::kBlockDevice || destination.type == FileType::kCharDevice;
  if (options_.write_devices && device && source.type == FileType::kRegular) return PairDevice(source, destination);
  Differences differences = Compare(source, destination, options_.policy);
  emitter_.CountLeftOut(differences);
  if (IsDirectory(&source)) {
    US_ASSIGN_OR_RETURN(const std::optional<BasisMatch> match, FindBasis(source, nullptr));
    if (match) differences = match->differences;
    current_.touched = true;
    PendingDirectory directory;
    directory.name = source.name;
    directory.plan = DirectoryPlan::kCreate;
    directory.source = ExpectationOf(&source);
    if (source.not_entered) directory.source_entry = source;
    US_RETURN_IF_ERROR(pending_.Add(directory));
    RelPath path = PathOf(source);
    return emitter_.Emit(Phase::kCreate, PlanEmitter::MakeDirectory(std::move(path), std::move(source),
                                                                    std::move(destination), differences));
  }
  if (!IsDirectory(&destination)) {
    US_ASSIGN_OR_RETURN(std::optional<BasisMatch> match, FindBasis(source, &destination));
    if (match) return UseBasis(source, std::move(destination), *std::move(match));
    current_.touched = true;
    return PutOrJoinGroup(source, std::move(destination), differences, false);
  }
  if (destination.not_entered) {
    return emitter_.Problem(
        Side::kDestination, 0, PathOf(source), "replace",
        std::string("a directory that is not entered is in the way of a ") + FileTypeName(source.type),
        ProblemKind::kConflict);
  }
  // Whether the directory may go is known when its own batch comes.
  current_.maybe_touched = true;
  PendingDirectory directory;
  directory.name = source.name;
  directory.plan = DirectoryPlan::kMakeWay;
  directory.destination = Expect::kRequired;
  US_ASSIGN_OR_RETURN(directory.basis, FindBasis(source, nullptr));
  directory.source_entry = std::move(source);
  return pending_.Add(directory);
}

absl::Status TreeMerge::PutOrJoinGroup(Entry& source, std::optional<Entry> destination, Differences differences,
                                       bool waits, std::optional<ActionBasis> basis, bool link_basis) {
  RelPath path = PathOf(source);
  if (options_.preserve_hard_links && source.nlink > 1) {
    return links_.Add({current_.number, std::move(path), std::move(source), std::move(destination), differences,
                       std::move(basis), link_basis, waits});
  }
  PlannedAction planned = PlanEmitter::Put(std::move(path), std::move(source), std::move(destination), differences);
  PlanEmitter::AddBasis(std::move(basis), link_basis, &planned);
  return emitter_.Emit(Phase::kCreate, std::move(planned));
}

}  // namespace uringsync
