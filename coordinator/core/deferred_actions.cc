#include "coordinator/core/deferred_actions.h"

#include <optional>
#include <utility>

#include "coordinator/core/moved_files.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

enum DeleteRecord : uint8_t { kDeleteEntry = 1, kVoid, kKeep };

// Bits of a directory's record.
constexpr uint8_t kAlways = 1;
constexpr uint8_t kMoved = 2;

constexpr size_t kTouchedMemoryBytes = size_t{1} << 20;

SpoolOptions Options(const std::string& directory) {
  return {DeferredActions::kSpoolMemoryBytes, directory};
}

bool KeyLess(std::string_view a, std::string_view b) {
  return a < b;
}

}  // namespace

DeferredActions::DeferredActions(Driver* driver, const std::string& directory, const TransferRules& rules)
    : rules_(rules),
      creates_(driver, Options(directory)),
      links_(driver, Options(directory)),
      late_creates_(driver, Options(directory)),
      late_links_(driver, Options(directory)),
      deletes_(driver, Options(directory)),
      directories_(driver, Options(directory)),
      touched_(driver, KeyLess, {kTouchedMemoryBytes, directory}),
      entered_(driver, directory) {}

absl::Status DeferredActions::AddTo(Spool& spool, const PlannedAction& planned) {
  writer_.Clear();
  writer_.PutDifferences(planned.differences);
  writer_.PutAction(planned.action);
  return spool.Append(writer_.bytes());
}

absl::Status DeferredActions::AddCreate(const PlannedAction& planned) {
  return AddTo(creates_, planned);
}

absl::Status DeferredActions::AddLink(const PlannedAction& planned, bool late) {
  return AddTo(late ? late_links_ : links_, planned);
}

absl::Status DeferredActions::AddLateCreate(const PlannedAction& planned) {
  return AddTo(late_creates_, planned);
}

absl::Status DeferredActions::AddDelete(uint64_t parent, DeletePlace place, const RelPath& path, const Entry& entry) {
  writer_.Clear();
  writer_.PutByte(kDeleteEntry);
  writer_.PutByte(static_cast<uint8_t>(place));
  writer_.PutNumber(parent);
  writer_.PutPath(path);
  writer_.PutEntry(entry);
  return deletes_.Append(writer_.bytes());
}

absl::Status DeferredActions::VoidDeletes(uint64_t parent) {
  writer_.Clear();
  writer_.PutByte(kVoid);
  writer_.PutNumber(parent);
  return deletes_.Append(writer_.bytes());
}

absl::Status DeferredActions::KeepDirectory(const RelPath& path) {
  writer_.Clear();
  writer_.PutByte(kKeep);
  writer_.PutPath(path);
  return deletes_.Append(writer_.bytes());
}

absl::Status DeferredActions::AddDirectory(uint64_t directory, const PlannedAction& planned, bool always, bool moved) {
  writer_.Clear();
  writer_.PutNumber(directory);
  writer_.PutByte(static_cast<uint8_t>((always ? kAlways : 0) | (moved ? kMoved : 0)));
  writer_.PutDifferences(planned.differences);
  writer_.PutAction(planned.action);
  return directories_.Append(writer_.bytes());
}

absl::Status DeferredActions::Touch(uint64_t directory) {
  if (directory == last_touched_) return absl::OkStatus();
  last_touched_ = directory;
  writer_.Clear();
  writer_.PutKey(~directory);  // highest number first
  return touched_.Add(writer_.bytes());
}

absl::Status DeferredActions::EmitSpool(const Spool& spool, Phase phase, PlanEmitter& emitter) {
  Spool::Reader records = spool.Forward();
  std::string record;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, records.Next(&record));
    if (!more) return absl::OkStatus();
    RecordReader reader(record);
    PlannedAction planned;
    planned.differences = reader.GetDifferences();
    planned.action = reader.GetAction();
    if (!reader.ok()) return DamagedSpool();
    if (in_the_way_.count(planned.action.path.text()) > 0) {
      US_RETURN_IF_ERROR(TellNoWay(planned.action, emitter));
      continue;
    }
    US_RETURN_IF_ERROR(emitter.Emit(phase, std::move(planned)));
  }
}

absl::Status DeferredActions::TellNoWay(const Action& action, PlanEmitter& emitter) {
  return emitter.Problem(Side::kDestination, 0, action.path, "replace",
                         std::string("could not make way for a ") + FileTypeName(action.wanted.type) +
                             ": something in the directory of that name stays",
                         ProblemKind::kConflict);
}

bool DeferredActions::ErrorsSpare(const PlanEmitter& emitter) const {
  const bool doubtful = rules_.sources_missing || emitter.counters().unseen > 0;
  return rules_.errors_spare_all && !rules_.ignore_errors && doubtful;
}

absl::Status DeferredActions::WalkDeletes(const PlanEmitter& emitter, const TakeDeletion& take) {
  Spool::Reader records = deletes_.Backward();
  std::string record;
  std::optional<uint64_t> void_parent;
  spares_ = ErrorsSpare(emitter);
  kept_.reset();
  kept_by_limit_ = false;
  deleted_ = 0;
  US_RETURN_IF_ERROR(entered_.Settle());
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, records.Next(&record));
    if (!more) return absl::OkStatus();
    RecordReader reader(record);
    const uint8_t kind = reader.GetByte();
    if (kind == kVoid) {
      void_parent = reader.GetNumber();
      continue;
    }
    if (kind == kKeep) {
      kept_ = reader.GetPath();
      kept_by_limit_ = false;
      continue;
    }
    const auto place = static_cast<DeletePlace>(reader.GetByte());
    const uint64_t parent = reader.GetNumber();
    Deletion deletion;
    deletion.path = reader.GetPath();
    deletion.entry = reader.GetEntry();
    if (!reader.ok()) return DamagedSpool();
    deletion.fate = parent == void_parent ? Deletion::Fate::kSpared : Judge(place, deletion.path, deletion.entry);
    US_RETURN_IF_ERROR(take(std::move(deletion)));
  }
}

DeferredActions::Deletion::Fate DeferredActions::Judge(DeletePlace place, const RelPath& path, const Entry& entry) {
  using Fate = Deletion::Fate;
  if (spares_ && (place == DeletePlace::kTop || place == DeletePlace::kNested)) return Fate::kSpared;
  if (entered_.Protects(path)) {
    const bool first = !entered_.Protects(path.Parent());
    if (!first || entry.type != FileType::kDirectory) return Fate::kSpared;
    kept_ = path;
    kept_by_limit_ = false;
    return Fate::kNotEmpty;
  }
  if (kept_ && entry.type == FileType::kDirectory && kept_->IsWithin(path)) {
    kept_ = path;
    // Of directories that are not empty rsync counts those that are in another one.
    const bool counted = kept_by_limit_ && (place == DeletePlace::kNested || place == DeletePlace::kInTheWay);
    return counted ? Fate::kNotEmptyLimit : Fate::kNotEmpty;
  }
  const bool counts = place != DeletePlace::kMakesWay;
  if (counts && rules_.max_delete && deleted_ >= *rules_.max_delete) {
    kept_ = path;
    kept_by_limit_ = true;
    return Fate::kLimit;
  }
  if (counts) ++deleted_;
  return counts ? Fate::kEmit : Fate::kMakesWay;
}

absl::Status DeferredActions::EmitDeletes(PlanEmitter& emitter) {
  if (ErrorsSpare(emitter) && deletable_)
    US_RETURN_IF_ERROR(emitter.Skip(SkipReason::kSparedByErrors, RelPath(), FileType::kDirectory));
  return WalkDeletes(emitter, [this, &emitter](Deletion deletion) { return EmitDelete(std::move(deletion), emitter); });
}

absl::Status DeferredActions::EmitDelete(Deletion deletion, PlanEmitter& emitter) {
  using Fate = Deletion::Fate;
  const FileType type = deletion.entry.type;
  switch (deletion.fate) {
    case Fate::kSpared: return absl::OkStatus();
    case Fate::kLimit: return emitter.Skip(SkipReason::kDeleteLimit, deletion.path, type);
    case Fate::kNotEmpty:
    case Fate::kNotEmptyLimit: {
      if (in_the_way_.size() < kMaxInTheWay) in_the_way_.insert(deletion.path.text());
      US_RETURN_IF_ERROR(emitter.Skip(SkipReason::kNotEmpty, deletion.path, type));
      if (deletion.fate == Fate::kNotEmpty) return absl::OkStatus();
      return emitter.Skip(SkipReason::kDeleteLimit, deletion.path, type);
    }
    case Fate::kEmit:
    case Fate::kMakesWay: break;
  }
  if (rules_.max_delete && emptied_.size() < kMaxEmptied) emptied_.insert(deletion.path.Parent().text());
  const bool makes_way = deletion.fate == Fate::kMakesWay;
  return emitter.Emit(Phase::kDelete,
                      PlanEmitter::Delete(std::move(deletion.path), std::move(deletion.entry), makes_way));
}

absl::Status DeferredActions::TellDoomed(const PlanEmitter& emitter, MovedFiles* moved) {
  return WalkDeletes(emitter, [moved](Deletion deletion) {
    const bool goes = deletion.fate == Deletion::Fate::kEmit;
    return moved->AddCandidate(deletion.path, deletion.entry,
                               goes ? ActionOrigin::Fate::kGoes : ActionOrigin::Fate::kStays);
  });
}

bool DeferredActions::WasEmptied(const RelPath& directory) const {
  if (spares_) return false;
  return !rules_.max_delete || emptied_.size() >= kMaxEmptied || emptied_.count(directory.text()) > 0;
}

absl::Status DeferredActions::EmitDirectories(PlanEmitter& emitter) {
  US_RETURN_IF_ERROR(touched_.Finish());
  std::string key;
  US_ASSIGN_OR_RETURN(bool more_touched, touched_.Next(&key));
  Spool::Reader records = directories_.Backward();
  std::string record;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, records.Next(&record));
    if (!more) return absl::OkStatus();
    RecordReader reader(record);
    const uint64_t directory = reader.GetNumber();
    const uint8_t bits = reader.GetByte();
    bool emit = (bits & kAlways) != 0;
    // Both run from the highest number down.
    while (more_touched && ~RecordReader(key).GetKey() >= directory) {
      if (~RecordReader(key).GetKey() == directory) emit = true;
      US_ASSIGN_OR_RETURN(more_touched, touched_.Next(&key));
    }
    PlannedAction planned;
    planned.differences = reader.GetDifferences();
    planned.action = reader.GetAction();
    if (!reader.ok()) return DamagedSpool();
    if (!emit) {
      US_RETURN_IF_ERROR(emitter.Unchanged(planned.action.path, planned.action.wanted));
      continue;
    }
    if ((bits & kMoved) != 0 && WasEmptied(planned.action.path)) planned.differences.Add(Attribute::kMtime);
    US_RETURN_IF_ERROR(emitter.Emit(Phase::kDirectoryMetadata, std::move(planned)));
  }
}

absl::Status DeferredActions::EmitAll(PlanEmitter& emitter) {
  const bool before = rules_.delete_timing == DeleteTiming::kBefore;
  if (before) {
    US_RETURN_IF_ERROR(EmitDeletes(emitter));
    US_RETURN_IF_ERROR(EmitSpool(creates_, Phase::kCreate, emitter));
  }
  US_RETURN_IF_ERROR(EmitSpool(links_, Phase::kLink, emitter));
  if (!before) US_RETURN_IF_ERROR(EmitDeletes(emitter));
  US_RETURN_IF_ERROR(EmitSpool(late_creates_, Phase::kCreate, emitter));
  US_RETURN_IF_ERROR(EmitSpool(late_links_, Phase::kLink, emitter));
  return EmitDirectories(emitter);
}

}  // namespace uringsync
