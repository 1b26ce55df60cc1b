// Where a source's file systems are mounted. For convert_*.cc only.
#pragma once

#include "absl/status/statusor.h"
#include "proto/convert_columns.h"
#include "proto/messages.h"

namespace uringsync::convert_internal {

absl::Status EncodeMountQuery(const MountQuery& query, v1::MountQuery* wire);
absl::StatusOr<MountQuery> DecodeMountQuery(const v1::MountQuery& wire);
absl::Status EncodeMountReply(const MountReply& reply, v1::MountReply* wire);
absl::StatusOr<MountReply> DecodeMountReply(const v1::MountReply& wire);

}  // namespace uringsync::convert_internal
