#include "proto/convert_places.h"

#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_fields.h"
#include "proto/convert_operands.h"

namespace uringsync::convert_internal {

void EncodePlace(const TreePlace& place, v1::TreePlace* wire) {
  wire->set_root(place.root);
  wire->set_path(place.path.text());
  wire->set_host_path(place.host_path);
}

absl::StatusOr<TreePlace> DecodePlace(Where where, const v1::TreePlace& wire) {
  TreePlace place;
  if (wire.root().empty() == wire.host_path().empty()) return Bad(where, kNoRow, "either a root or a host path");
  if (wire.root().empty()) {
    US_ASSIGN_OR_RETURN(place.host_path, DecodeHostPath(where, kNoRow, wire.host_path()));
  } else {
    US_ASSIGN_OR_RETURN(place.root, DecodeLabel(where, wire.root(), kMaxPeerRootNameBytes));
  }
  US_ASSIGN_OR_RETURN(place.path, ParsePath(where, kNoRow, wire.path()));
  return place;
}

void EncodeBackup(const BackupSettings& backup, v1::Backup* wire) {
  wire->set_suffix(backup.suffix);
  if (backup.directory) EncodePlace(*backup.directory, wire->mutable_directory());
}

absl::StatusOr<BackupSettings> DecodeBackup(const v1::Backup& wire) {
  const Where suffix{"OpenSession", "backup.suffix"};
  BackupSettings backup;
  backup.suffix = wire.suffix();
  if (backup.suffix.empty() && !wire.has_directory()) return Bad(suffix, kNoRow, "empty, and no directory");
  // Put behind a name it has to make one.
  if (!backup.suffix.empty())
    US_RETURN_IF_ERROR(CheckName(suffix, kNoRow, "x" + backup.suffix.substr(0, kMaxNameBytes)));
  US_RETURN_IF_ERROR(CheckBound(suffix, backup.suffix.size(), kMaxNameBytes - 1, "bytes"));
  if (wire.has_directory()) {
    US_ASSIGN_OR_RETURN(backup.directory, DecodePlace({"OpenSession", "backup.directory"}, wire.directory()));
  }
  return backup;
}

void EncodeStaging(const StagingSettings& staging, v1::Staging* wire) {
  wire->set_keep_partial(staging.keep_partial);
  wire->set_partial_directory(staging.partial_directory.text());
  wire->set_partial_climb(staging.partial_climb);
  if (staging.partial_place) EncodePlace(*staging.partial_place, wire->mutable_partial_place());
  wire->set_append(static_cast<v1::AppendMode>(staging.append));
  if (staging.temporaries) EncodePlace(*staging.temporaries, wire->mutable_temporaries());
  wire->set_delay_updates(staging.delay_updates);
  wire->set_fuzzy(staging.fuzzy);
  wire->set_preallocate(staging.preallocate);
}

absl::StatusOr<StagingSettings> DecodeStaging(const v1::Staging& wire) {
  const Where partial{"OpenSession", "staging.partial_directory"};
  StagingSettings staging;
  staging.keep_partial = wire.keep_partial();
  US_ASSIGN_OR_RETURN(staging.partial_directory, ParsePath(partial, kNoRow, wire.partial_directory()));
  US_RETURN_IF_ERROR(
      CheckBound({"OpenSession", "staging.partial_climb"}, wire.partial_climb(), kMaxPartialClimb, "levels"));
  staging.partial_climb = wire.partial_climb();
  if (wire.has_partial_place()) {
    if (!staging.partial_directory.is_root()) return Bad(partial, kNoRow, "beside a place");
    US_ASSIGN_OR_RETURN(staging.partial_place,
                        DecodePlace({"OpenSession", "staging.partial_place"}, wire.partial_place()));
  }
  if (wire.append() < 0 || wire.append() > v1::APPEND_MODE_VERIFY) {
    return Bad({"OpenSession", "staging.append"}, kNoRow, "unknown mode " + std::to_string(wire.append()));
  }
  staging.append = static_cast<AppendMode>(wire.append());
  if (wire.has_temporaries()) {
    US_ASSIGN_OR_RETURN(staging.temporaries, DecodePlace({"OpenSession", "staging.temporaries"}, wire.temporaries()));
  }
  staging.delay_updates = wire.delay_updates();
  if (staging.delay_updates && staging.partial_directory.is_root() && !staging.partial_place) {
    return Bad(partial, kNoRow, "missing, and updates wait there");
  }
  US_RETURN_IF_ERROR(CheckBound({"OpenSession", "staging.fuzzy"}, wire.fuzzy(), kMaxFuzzy, "levels"));
  staging.fuzzy = wire.fuzzy();
  staging.preallocate = wire.preallocate();
  return staging;
}

}  // namespace uringsync::convert_internal
