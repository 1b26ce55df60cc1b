// Tables of entries, actions and problems between wire and value. For convert_*.cc only.
#pragma once

#include <span>
#include <vector>

#include "absl/status/status.h"
#include "proto/convert_columns.h"
#include "proto/messages.h"

namespace uringsync::convert_internal {

// Attributes of `entries`, one row each, without names.
void EncodeEntries(std::span<const Entry* const> entries, v1::EntryTable* table);
// Fills everything but the name of `entries`; `where` names the table in errors.
absl::Status DecodeEntries(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where);

absl::Status EncodeActions(const ActionBatch& batch, v1::ActionBatch* wire);
absl::StatusOr<ActionBatch> DecodeActions(const v1::ActionBatch& wire);

absl::Status EncodeBatch(const DirectoryBatch& batch, v1::DirectoryBatch* wire);
absl::StatusOr<DirectoryBatch> DecodeBatch(const v1::DirectoryBatch& wire);

absl::Status EncodeGroup(const FoldedGroup& group, v1::FoldedGroup* wire);
absl::StatusOr<FoldedGroup> DecodeGroup(const v1::FoldedGroup& wire);

absl::Status EncodePaths(Where where, const std::vector<RelPath>& paths, size_t bound, v1::Strings* wire);
absl::StatusOr<std::vector<RelPath>> DecodePaths(Where where, const v1::Strings& wire, size_t bound);
absl::Status EncodeTree(const TreeReply& reply, v1::TreeReply* wire);
absl::StatusOr<TreeReply> DecodeTree(const v1::TreeReply& wire);

absl::Status EncodeProblems(std::span<const Problem> problems, v1::ProblemTable* table);
absl::StatusOr<std::vector<Problem>> DecodeProblems(const v1::ProblemTable& table);

}  // namespace uringsync::convert_internal
