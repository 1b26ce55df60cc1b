#include "coordinator/core/preflight.h"

#include <algorithm>
#include <string_view>

#include "coordinator/core/run.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr char kWayOut[] = "; --no-preflight tries it anyway";

// Bytes on disk, holes left out.
uint64_t OnDisk(const Entry& file) {
  return std::min(file.size_bytes, file.allocated_bytes);
}

std::string Bytes(uint64_t bytes) {
  constexpr uint64_t kMebibyte = uint64_t{1} << 20;
  if (bytes < kMebibyte) return std::to_string(bytes) + " bytes";
  return std::to_string((bytes + kMebibyte - 1) / kMebibyte) + " MiB";
}

// Files of one such file system are cloned into each other and need no room.
bool MayClone(const SyncRequest& request, const SessionOpened& source, const SessionOpened& destination) {
  const bool one_volume = !source.host_id.empty() && source.host_id == destination.host_id && source.exists &&
                          destination.exists && source.root.id.device == destination.root.id.device;
  const std::string& type = destination.file_system;
  return one_volume && request.reflink != ReflinkMode::kNever &&
         (type == "btrfs" || type == "xfs" || type == "bcachefs" || type == "zfs");
}

std::optional<std::string> RefuseForNeeds(const SyncRequest& request, const PlanNeeds& needs, const VolumeFacts& volume,
                                          bool clones) {
  if (volume.name_bytes_max != 0 && needs.longest_name > volume.name_bytes_max) {
    return "names of more than " + std::to_string(volume.name_bytes_max) +
           " bytes do not fit into the destination's file system: " + EscapeName(needs.longest_path.text()) +
           "; exclude them" + kWayOut;
  }
  if (volume.file_bytes_max != 0 && needs.largest_file > volume.file_bytes_max) {
    return "files of more than " + Bytes(volume.file_bytes_max) +
           " do not fit into the destination's file system: " + EscapeName(needs.largest_path.text()) +
           "; --max-size leaves them out" + kWayOut;
  }
  const bool frees_first = request.rules.delete_timing == DeleteTiming::kBefore;
  const uint64_t freed = needs.replaced + (frees_first ? needs.deleted : 0);
  const uint64_t bytes = needs.bytes > freed ? needs.bytes - freed : 0;
  const char* hint = needs.deleted > 0 && !frees_first ? "; --delete-before makes room first" : "; make room";
  if (!clones && volume.bytes_total != 0 && bytes > volume.bytes_free) {
    return "there is no room for " + Bytes(bytes) + " at the destination, " + Bytes(volume.bytes_free) + " are free" +
           hint + kWayOut;
  }
  const uint64_t gone = frees_first ? needs.objects_deleted : 0;
  if (volume.files_total != 0 && needs.objects > volume.files_free + gone) {
    return "there are no inodes for " + std::to_string(needs.objects) + " new objects at the destination, " +
           std::to_string(volume.files_free) + " are free" + hint + kWayOut;
  }
  return std::nullopt;
}

void NoteWhatIsNotKept(const SyncRequest& request, const SessionOpened& destination, PreflightReport* report) {
  const VolumeFacts& volume = *destination.volume;
  const std::string& type = destination.file_system;
  if (request.selection.xattrs && volume.lacks_xattrs) {
    report->notices.push_back(
        type + " keeps no extended attributes; objects that have some will be problems; --no-xattrs leaves them out");
  }
  if (request.selection.acls && volume.lacks_acls && !volume.lacks_xattrs) {
    report->notices.push_back(
        type + " keeps no ACLs here; objects that have some will be problems; --no-acls leaves them out");
  }
  if (volume.ignores_case) {
    report->shortfalls.push_back(
        "names that differ in case alone are one name there; of such objects one takes the place of the other; "
        "exclude all but one");
  }
  if (volume.normalises_names) {
    report->shortfalls.push_back(
        type +
        " may give names back in another Unicode form; they will look new in every run, and with --delete go; "
        "use names in decomposed form");
  }
  if (request.selection.owner && request.selection.explicit_owner && !destination.can_chown) {
    report->notices.push_back(
        "owners were asked for by an option and may not be set there (no CAP_CHOWN); run that agent as root, or leave "
        "the "
        "option out");
  }
}

}  // namespace

void PlanNeeds::Add(const PlannedAction& planned) {
  const Action& action = planned.action;
  if (action.kind == ActionKind::kDelete) {
    ++objects_deleted;
    if (action.wanted.type == FileType::kRegular && action.wanted.nlink <= 1) deleted += OnDisk(action.wanted);
    return;
  }
  if (action.kind == ActionKind::kSetMetadata) return;
  if (!action.existing && action.path.name().size() > longest_name) {
    longest_name = action.path.name().size();
    longest_path = action.path;
  }
  if (action.kind == ActionKind::kLink) return;
  // It is there already, and gets another name. (That its contents are the right ones shows when they are compared.)
  if (action.origin && action.origin->fate == ActionOrigin::Fate::kGoes) return;
  if (!action.existing) ++objects;
  if (action.kind != ActionKind::kPutFile) return;
  bytes += holes ? OnDisk(action.wanted) : action.wanted.size_bytes;
  if (action.existing && action.existing->nlink <= 1 && action.existing->type == FileType::kRegular)
    replaced += OnDisk(*action.existing);
  if (action.wanted.size_bytes <= largest_file) return;
  largest_file = action.wanted.size_bytes;
  largest_path = action.path;
}

PreflightReport CheckBeforeRun(const SyncRequest& request, const SessionOpened& source,
                               const SessionOpened& destination) {
  PreflightReport report;
  if (request.preflight == PreflightMode::kOff || request.mode == SyncMode::kVerify || !destination.volume)
    return report;
  const VolumeFacts& volume = *destination.volume;
  // There may be nothing to write, or another file system below.
  if (volume.read_only)
    report.notices.push_back("the destination's file system is mounted read-only; mount it writable");
  if (request.needs)
    report.refusal = RefuseForNeeds(request, *request.needs, volume, MayClone(request, source, destination));
  NoteWhatIsNotKept(request, destination, &report);
  return report;
}

}  // namespace uringsync
