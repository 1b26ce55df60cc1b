// Names of ids. For convert_*.cc only.
#pragma once

#include "absl/status/statusor.h"
#include "proto/convert_columns.h"
#include "proto/messages.h"

namespace uringsync::convert_internal {

absl::Status EncodeNameQuery(const NameQuery& query, v1::NameQuery* wire);
absl::StatusOr<NameQuery> DecodeNameQuery(const v1::NameQuery& wire);
absl::Status EncodeNameReply(const NameReply& reply, v1::NameReply* wire);
absl::StatusOr<NameReply> DecodeNameReply(const v1::NameReply& wire);

}  // namespace uringsync::convert_internal
