// Operands of a session and questions about paths. For convert_*.cc only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/convert_columns.h"
#include "proto/messages.h"

namespace uringsync::convert_internal {

// A path of the agent's host: any bytes but NUL, at most kMaxHostPathBytes.
absl::StatusOr<std::string> DecodeHostPath(Where where, size_t row, std::string_view bytes);
// A root's name, or empty where host paths are meant.
absl::StatusOr<std::string> DecodeRootName(Where where, std::string_view bytes);

absl::Status EncodeOperands(Where where, const std::vector<SourceOperand>& operands, v1::OperandTable* table);
// Bases are host paths, or names joined by '/'.
absl::StatusOr<std::vector<SourceOperand>> DecodeOperands(Where where, const v1::OperandTable& table, bool host_paths);

absl::Status EncodePathQuery(const PathQuery& query, v1::PathQuery* wire);
absl::StatusOr<PathQuery> DecodePathQuery(const v1::PathQuery& wire);
absl::Status EncodePathReply(const PathReply& reply, v1::PathReply* wire);
absl::StatusOr<PathReply> DecodePathReply(const v1::PathReply& wire);

}  // namespace uringsync::convert_internal
