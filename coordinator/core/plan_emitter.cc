#include "coordinator/core/plan_emitter.h"

#include <cerrno>

namespace uringsync {
namespace {

PlannedAction Make(ActionKind kind, RelPath path, Entry wanted, std::optional<Entry> existing,
                   Differences differences) {
  PlannedAction planned;
  planned.differences = differences;
  planned.action.kind = kind;
  planned.action.path = std::move(path);
  planned.action.wanted = std::move(wanted);
  planned.action.existing = std::move(existing);
  planned.action.xattrs_differ = differences.NeedsXattrs();
  return planned;
}

}  // namespace

PlannedAction PlanEmitter::MakeDirectory(RelPath path, Entry source, std::optional<Entry> existing,
                                         Differences differences) {
  return Make(ActionKind::kMakeDirectory, std::move(path), std::move(source), std::move(existing), differences);
}

PlannedAction PlanEmitter::Put(RelPath path, Entry source, std::optional<Entry> existing, Differences differences) {
  ActionKind kind = ActionKind::kPutSpecial;
  if (source.type == FileType::kRegular) kind = ActionKind::kPutFile;
  if (source.type == FileType::kSymlink) kind = ActionKind::kPutSymlink;
  return Make(kind, std::move(path), std::move(source), std::move(existing), differences);
}

void PlanEmitter::AddBasis(std::optional<ActionBasis> basis, bool link, PlannedAction* planned) {
  if (!basis) return;
  if (link) planned->action.kind = ActionKind::kLink;
  planned->action.basis = std::move(basis);
}

PlannedAction PlanEmitter::Link(RelPath path, Entry source, std::optional<Entry> existing, RelPath leader,
                                Differences differences) {
  PlannedAction planned = Make(ActionKind::kLink, std::move(path), std::move(source), std::move(existing), differences);
  planned.action.link_target = std::move(leader);
  return planned;
}

PlannedAction PlanEmitter::SetMetadata(RelPath path, Entry source, std::optional<Entry> existing,
                                       Differences differences) {
  return Make(ActionKind::kSetMetadata, std::move(path), std::move(source), std::move(existing), differences);
}

PlannedAction PlanEmitter::Delete(RelPath path, Entry existing, bool makes_way) {
  // The object is told once: a delete has nothing else to say.
  Differences differences = Differences::FromMask(static_cast<uint32_t>(Attribute::kExtraneous));
  if (makes_way) differences.Add(Attribute::kType);
  return Make(ActionKind::kDelete, std::move(path), std::move(existing), std::nullopt, differences);
}

absl::Status PlanEmitter::Emit(Phase phase, PlannedAction planned) {
  planned.phase = phase;
  if (hold_ && phase == Phase::kCreate && (!holds_ || holds_(planned))) return hold_(planned);
  CountAction(planned);
  planned.action.id = counters_.actions;
  return sink_->OnAction(std::move(planned));
}

void PlanEmitter::CountAction(const PlannedAction& planned) {
  ++counters_.actions;
  const bool is_new = !planned.action.existing && !planned.differences.Has(Attribute::kType);
  if (planned.action.basis) ++counters_.from_basis;
  switch (planned.action.kind) {
    case ActionKind::kDelete: ++counters_.deletes; return;
    case ActionKind::kLink: ++counters_.links; return;
    case ActionKind::kSetMetadata:
      // Metadata of a new directory, or of one whose times moved with its entries, is no change of its own.
      if (!planned.differences.empty()) ++counters_.metadata_only;
      return;
    case ActionKind::kPutFile:
      if (planned.action.basis) break;
      ++counters_.transfer_files;
      counters_.transfer_bytes += planned.action.wanted.size_bytes;
      if (!planned.action.origin) break;
      ++counters_.renames;
      counters_.rename_bytes += planned.action.wanted.size_bytes;
      break;
    case ActionKind::kMakeDirectory:
    case ActionKind::kPutSymlink:
    case ActionKind::kPutSpecial: break;
  }
  ++(is_new ? counters_.creates : counters_.updates);
}

absl::Status PlanEmitter::Problem(Side side, int error, const RelPath& path, std::string operation, std::string detail,
                                  ProblemKind kind) {
  ++counters_.problems;
  uringsync::Problem problem;
  problem.kind = side == Side::kSource && error == ENOENT ? ProblemKind::kVanished : kind;
  problem.side = side;
  problem.path = path;
  problem.operation = std::move(operation);
  problem.error = error;
  problem.detail = std::move(detail);
  return sink_->OnProblem(std::move(problem));
}

absl::Status PlanEmitter::OperandProblem(int error, const RelPath& path, const char* operation) {
  ++counters_.problems;
  ++counters_.missing_operands;
  ++counters_.unseen;
  uringsync::Problem problem;
  problem.side = Side::kSource;
  problem.path = path;
  problem.operation = operation;
  problem.error = error;
  return sink_->OnProblem(std::move(problem));
}

absl::Status PlanEmitter::LinkProblem(const RelPath& path) {
  ++counters_.problems;
  ++counters_.unseen;
  uringsync::Problem problem;
  problem.side = Side::kSource;
  problem.path = path;
  problem.operation = kFollowOperation;
  problem.error = ENOENT;
  problem.detail = "the symlink leads nowhere";
  return sink_->OnProblem(std::move(problem));
}

absl::Status PlanEmitter::LookProblem(Side side, int error, const RelPath& path, const char* operation) {
  // What vanished at the source is no doubt about the rest.
  if (side != Side::kSource || error != ENOENT) ++counters_.unseen;
  // Only the reading of attributes knows this error: of stat(2) and getdents(2) it is no answer.
  if (error != E2BIG) return Problem(side, error, path, operation);
  static_assert(kMaxXattrBytesPerObject == size_t{1} << 20 && kMaxXattrsPerObject == 4096);
  std::string detail =
      "its extended attributes have more than 1 MiB, or are more than 4,096: more than one object may have; ";
  detail += side == Side::kSource ? "it was left out" : "it was left as it is";
  return Problem(side, error, path, "listxattr", std::move(detail));
}

absl::Status PlanEmitter::Skip(SkipReason reason, const RelPath& path, const Entry& source) {
  if (reason != SkipReason::kUnsafeLink) return Skip(reason, path, source.type);
  ++counters_.skipped_by_rule;
  return sink_->OnUnsafeLink(path, source.symlink_target);
}

absl::Status PlanEmitter::Skip(SkipReason reason, const RelPath& path, FileType type) {
  switch (reason) {
    case SkipReason::kSymlinkOff:
    case SkipReason::kDeviceOff:
    case SkipReason::kSpecialOff: ++counters_.skipped_options; break;
    case SkipReason::kNoMknod: ++counters_.skipped_devices; break;
    case SkipReason::kBelowProblem: ++counters_.skipped_below_problem; break;
    case SkipReason::kNotExisting:
    case SkipReason::kExists:
    case SkipReason::kNewer:
    case SkipReason::kTooLarge:
    case SkipReason::kTooSmall:
    case SkipReason::kUnsafeLink:
    case SkipReason::kNotShorter: ++counters_.skipped_by_rule; break;
    case SkipReason::kDeleteLimit: ++counters_.skipped_deletes; break;
    case SkipReason::kNotEmpty:
    case SkipReason::kSparedByErrors:
    case SkipReason::kMountPoint: break;
  }
  return sink_->OnSkipped(reason, path, type);
}

absl::Status PlanEmitter::Unchanged(const RelPath& path, const Entry& source, bool tell) {
  ++counters_.unchanged;
  return tell ? sink_->OnUnchanged(path, source) : absl::OkStatus();
}

absl::Status PlanEmitter::InBasis(const RelPath& path, const Entry& source, uint32_t basis) {
  ++counters_.unchanged;
  return tells_unchanged_ ? sink_->OnInBasis(path, source, basis) : absl::OkStatus();
}

void PlanEmitter::CountLeftOut(const Differences& differences) {
  if (differences.skipped_owner) ++counters_.skipped_owner;
  if (differences.skipped_xattrs) ++counters_.skipped_xattrs;
}

}  // namespace uringsync
