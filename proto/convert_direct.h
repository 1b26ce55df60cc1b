// DirectQuery and DirectReply on the wire. For convert_client.cc and convert_agent.cc only.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/convert_columns.h"
#include "proto/messages.h"

namespace uringsync::convert_internal {

absl::Status EncodeDirectQuery(const DirectQuery& query, v1::DirectQuery* wire);
absl::StatusOr<DirectQuery> DecodeDirectQuery(const v1::DirectQuery& wire);
absl::Status EncodeDirectReply(const DirectReply& reply, v1::DirectReply* wire);
absl::StatusOr<DirectReply> DecodeDirectReply(const v1::DirectReply& wire);

}  // namespace uringsync::convert_internal
