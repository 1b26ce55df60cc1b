// Directories of an agent, and what a destination session uses them for. For convert_*.cc only.
#pragma once

#include "absl/status/statusor.h"
#include "proto/convert_columns.h"
#include "proto/messages.h"

namespace uringsync::convert_internal {

void EncodePlace(const TreePlace& place, v1::TreePlace* wire);
absl::StatusOr<TreePlace> DecodePlace(Where where, const v1::TreePlace& wire);
void EncodeBackup(const BackupSettings& backup, v1::Backup* wire);
absl::StatusOr<BackupSettings> DecodeBackup(const v1::Backup& wire);
void EncodeStaging(const StagingSettings& staging, v1::Staging* wire);
absl::StatusOr<StagingSettings> DecodeStaging(const v1::Staging& wire);

}  // namespace uringsync::convert_internal
