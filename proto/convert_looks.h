// What is at single paths. For convert_*.cc only.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/convert_columns.h"
#include "proto/messages.h"

namespace uringsync::convert_internal {

// Empty: none.
absl::StatusOr<std::optional<DigestKey>> DecodeDigestKey(Where where, std::string_view wire);
absl::Status EncodeEntryQuery(const EntryQuery& query, v1::EntryQuery* wire);
absl::StatusOr<EntryQuery> DecodeEntryQuery(const v1::EntryQuery& wire);
absl::Status EncodeEntryReply(const EntryReply& reply, v1::EntryReply* wire);
absl::StatusOr<EntryReply> DecodeEntryReply(const v1::EntryReply& wire);

}  // namespace uringsync::convert_internal
