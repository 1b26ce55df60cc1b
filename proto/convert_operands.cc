#include "proto/convert_operands.h"

#include <map>

#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_fields.h"

namespace uringsync::convert_internal {
namespace {

size_t BytesOf(const SourceOperand& operand) {
  return operand.base.size() + operand.from.text().size() + operand.at.text().size();
}

absl::StatusOr<std::vector<std::string>> DecodeBases(Where where, const v1::Strings& wire, bool host_paths) {
  const size_t count = static_cast<size_t>(wire.lengths_size());
  US_RETURN_IF_ERROR(CheckBound(where, count, kMaxOperandsPerMessage, "bases"));
  StringsReader reader;
  US_RETURN_IF_ERROR(reader.Init(wire, count, kMaxHostPathBytes, where));
  std::vector<std::string> bases;
  bases.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const std::string_view base = reader.Next();
    if (!host_paths) US_RETURN_IF_ERROR(ParsePath(where, i, base).status());
    US_ASSIGN_OR_RETURN(std::string checked, DecodeHostPath(where, i, base));
    bases.push_back(std::move(checked));
  }
  return bases;
}

// Fills `at` of every operand, and `from` with the same where from_rows does not say otherwise.
absl::Status DecodePlaces(Where where, const v1::OperandTable& table, std::vector<SourceOperand>* operands) {
  StringsReader ats;
  US_RETURN_IF_ERROR(ats.Init(table.ats(), operands->size(), kMaxRelPathBytes, where));
  US_RETURN_IF_ERROR(CheckRows(table.from_rows(), operands->size(), where));
  StringsReader froms;
  US_RETURN_IF_ERROR(froms.Init(table.froms(), static_cast<size_t>(table.from_rows_size()), kMaxRelPathBytes, where));
  int next_from = 0;
  for (size_t row = 0; row < operands->size(); ++row) {
    SourceOperand& operand = (*operands)[row];
    US_ASSIGN_OR_RETURN(operand.at, ParsePath(where, row, ats.Next()));
    if (next_from < table.from_rows_size() && table.from_rows(next_from) == row) {
      ++next_from;
      US_ASSIGN_OR_RETURN(operand.from, ParsePath(where, row, froms.Next()));
    } else {
      operand.from = operand.at;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PathKind> DecodeKind(std::string_view field, size_t row, uint32_t kind) {
  if (kind < static_cast<uint32_t>(PathKind::kMissing) || kind > static_cast<uint32_t>(PathKind::kOther)) {
    return Bad({"PathReply", field}, row, "unknown kind " + std::to_string(kind));
  }
  return static_cast<PathKind>(kind);
}

}  // namespace

absl::StatusOr<std::string> DecodeHostPath(Where where, size_t row, std::string_view bytes) {
  US_RETURN_IF_ERROR(CheckBound(where, bytes.size(), kMaxHostPathBytes, "bytes"));
  if (bytes.find('\0') != std::string_view::npos) return Bad(where, row, Quoted(bytes) + " contains NUL");
  return std::string(bytes);
}

absl::StatusOr<std::string> DecodeRootName(Where where, std::string_view bytes) {
  if (bytes.empty()) return std::string();
  return DecodeLabel(where, bytes, kMaxPeerRootNameBytes);
}

absl::Status EncodeOperands(Where where, const std::vector<SourceOperand>& operands, v1::OperandTable* table) {
  US_RETURN_IF_ERROR(CheckBound(where, operands.size(), kMaxOperandsPerMessage, "operands"));
  std::map<std::string_view, uint32_t> numbers;
  std::vector<uint32_t> base_numbers;
  size_t bytes = 0;
  for (size_t row = 0; row < operands.size(); ++row) {
    const SourceOperand& operand = operands[row];
    bytes += BytesOf(operand);
    const auto [place, is_new] = numbers.emplace(operand.base, static_cast<uint32_t>(numbers.size()));
    if (is_new) AddString(table->mutable_bases(), operand.base);
    base_numbers.push_back(place->second);
    AddString(table->mutable_ats(), operand.at.text());
    if (operand.from != operand.at) {
      table->add_from_rows(static_cast<uint32_t>(row));
      AddString(table->mutable_froms(), operand.from.text());
    }
    if (operand.implied) table->add_implied_rows(static_cast<uint32_t>(row));
    if (operand.follow) table->add_follow_rows(static_cast<uint32_t>(row));
  }
  WriteColumn(table->mutable_base_numbers(), operands.size(), [&](size_t row) { return base_numbers[row]; });
  WriteColumn(table->mutable_depths(), operands.size(),
              [&](size_t row) { return static_cast<uint32_t>(operands[row].depth); });
  return CheckBound(where, bytes, kMaxOperandBytesPerMessage, "bytes of operands");
}

absl::StatusOr<std::vector<SourceOperand>> DecodeOperands(Where where, const v1::OperandTable& table, bool host_paths) {
  const size_t rows = static_cast<size_t>(table.ats().lengths_size());
  US_RETURN_IF_ERROR(CheckBound(where, rows, kMaxOperandsPerMessage, "operands"));
  US_ASSIGN_OR_RETURN(const std::vector<std::string> bases, DecodeBases(where, table.bases(), host_paths));
  Column<uint32_t> base_numbers;
  Column<uint32_t> depths;
  US_RETURN_IF_ERROR(base_numbers.Init(table.base_numbers(), rows, where));
  US_RETURN_IF_ERROR(depths.Init(table.depths(), rows, where));
  std::vector<SourceOperand> operands(rows);
  US_RETURN_IF_ERROR(DecodePlaces(where, table, &operands));
  size_t bytes = 0;
  for (size_t row = 0; row < rows; ++row) {
    SourceOperand& operand = operands[row];
    if (base_numbers[row] >= bases.size()) return Bad(where, row, "no base " + std::to_string(base_numbers[row]));
    // One long base for many short rows: counted before it is copied.
    bytes += BytesOf(operand) + bases[base_numbers[row]].size();
    US_RETURN_IF_ERROR(CheckBound(where, bytes, kMaxOperandBytesPerMessage, "bytes of operands"));
    operand.base = bases[base_numbers[row]];
    if (depths[row] < static_cast<uint32_t>(OperandDepth::kObject) ||
        depths[row] > static_cast<uint32_t>(OperandDepth::kTree)) {
      return Bad(where, row, "unknown depth " + std::to_string(depths[row]));
    }
    operand.depth = static_cast<OperandDepth>(depths[row]);
  }
  US_RETURN_IF_ERROR(CheckRows(table.implied_rows(), rows, where));
  for (const uint32_t row : table.implied_rows()) operands[row].implied = true;
  US_RETURN_IF_ERROR(CheckRows(table.follow_rows(), rows, where));
  for (const uint32_t row : table.follow_rows()) operands[row].follow = true;
  return operands;
}

absl::Status EncodePathQuery(const PathQuery& query, v1::PathQuery* wire) {
  const Where where{"PathQuery", "paths"};
  wire->set_root(query.root);
  US_RETURN_IF_ERROR(EncodeList(where, query.paths, kMaxPathQuery, kMaxHostPathBytes, wire->mutable_paths()));
  wire->set_expand(query.expand);
  wire->set_list_file(query.list_file);
  wire->set_list_offset(query.list_offset);
  return CheckBound(where, wire->paths().text().size(), kMaxOperandBytesPerMessage / 2, "bytes of paths");
}

absl::StatusOr<PathQuery> DecodePathQuery(const v1::PathQuery& wire) {
  const Where where{"PathQuery", "paths"};
  PathQuery query;
  US_ASSIGN_OR_RETURN(query.root, DecodeRootName({"PathQuery", "root"}, wire.root()));
  US_ASSIGN_OR_RETURN(query.paths, DecodeList(where, wire.paths(), kMaxPathQuery, kMaxHostPathBytes, /*labels=*/false));
  for (size_t row = 0; row < query.paths.size(); ++row) {
    US_RETURN_IF_ERROR(query.root.empty() ? DecodeHostPath(where, row, query.paths[row]).status()
                                          : ParsePath(where, row, query.paths[row]).status());
  }
  query.expand = wire.expand();
  US_ASSIGN_OR_RETURN(query.list_file, DecodeHostPath({"PathQuery", "list_file"}, kNoRow, wire.list_file()));
  query.list_offset = wire.list_offset();
  if (!query.root.empty() && (query.expand || !query.list_file.empty()))
    return Bad(where, kNoRow, "patterns and lists are of host paths");
  return query;
}

absl::Status EncodePathReply(const PathReply& reply, v1::PathReply* wire) {
  const size_t rows = reply.paths.size();
  US_RETURN_IF_ERROR(CheckBound({"PathReply", "kinds"}, rows, kMaxPathReply, "paths"));
  US_RETURN_IF_ERROR(
      EncodeList({"PathReply", "names"}, reply.names, kMaxPathReply, kMaxHostPathBytes, wire->mutable_names()));
  wire->set_directory(reply.directory);
  wire->set_list(reply.list);
  wire->set_list_ends(reply.list_ends);
  for (size_t row = 0; row < rows; ++row) {
    wire->add_kinds(static_cast<uint32_t>(reply.paths[row].kind));
    if (reply.paths[row].has_parent) wire->add_parent_rows(static_cast<uint32_t>(row));
  }
  WriteColumn(wire->mutable_targets(), rows,
              [&](size_t row) { return static_cast<uint32_t>(reply.paths[row].target); });
  WriteColumn(wire->mutable_errors(), rows, [&](size_t row) { return static_cast<uint32_t>(reply.paths[row].error); });
  WriteColumn(wire->mutable_devices(), rows, [&](size_t row) { return reply.paths[row].id.device; });
  WriteColumn(wire->mutable_inodes(), rows, [&](size_t row) { return reply.paths[row].id.inode; });
  return absl::OkStatus();
}

absl::StatusOr<PathReply> DecodePathReply(const v1::PathReply& wire) {
  const size_t rows = static_cast<size_t>(wire.kinds_size());
  US_RETURN_IF_ERROR(CheckBound({"PathReply", "kinds"}, rows, kMaxPathReply, "paths"));
  Column<uint32_t> targets;
  Column<uint32_t> errors;
  Column<uint64_t> devices;
  Column<uint64_t> inodes;
  US_RETURN_IF_ERROR(targets.Init(wire.targets(), rows, {"PathReply", "targets"}));
  US_RETURN_IF_ERROR(errors.Init(wire.errors(), rows, {"PathReply", "errors"}));
  US_RETURN_IF_ERROR(devices.Init(wire.devices(), rows, {"PathReply", "devices"}));
  US_RETURN_IF_ERROR(inodes.Init(wire.inodes(), rows, {"PathReply", "inodes"}));
  US_RETURN_IF_ERROR(CheckRows(wire.parent_rows(), rows, {"PathReply", "parent_rows"}));
  PathReply reply;
  reply.paths.resize(rows);
  for (size_t row = 0; row < rows; ++row) {
    PathInfo& info = reply.paths[row];
    US_ASSIGN_OR_RETURN(info.kind, DecodeKind("kinds", row, wire.kinds(static_cast<int>(row))));
    US_ASSIGN_OR_RETURN(info.target, DecodeKind("targets", row, targets[row]));
    if (info.target == PathKind::kSymlink) return Bad({"PathReply", "targets"}, row, "a symlink is no end");
    if (errors[row] > kMaxErrno) return Bad({"PathReply", "errors"}, row, std::to_string(errors[row]) + " is no errno");
    info.error = static_cast<int>(errors[row]);
    info.id = FileId{devices[row], inodes[row]};
  }
  for (const uint32_t row : wire.parent_rows()) reply.paths[row].has_parent = true;
  const Where names{"PathReply", "names"};
  US_ASSIGN_OR_RETURN(reply.names, DecodeList(names, wire.names(), kMaxPathReply, kMaxHostPathBytes, /*labels=*/false));
  if (!reply.names.empty() && reply.names.size() != rows) return Bad(names, kNoRow, "not one for each path");
  for (size_t row = 0; row < reply.names.size(); ++row) {
    if (reply.names[row].empty()) return Bad(names, row, "empty");
    US_RETURN_IF_ERROR(DecodeHostPath(names, row, reply.names[row]).status());
  }
  US_ASSIGN_OR_RETURN(reply.directory, DecodeHostPath({"PathReply", "directory"}, kNoRow, wire.directory()));
  US_RETURN_IF_ERROR(CheckBound({"PathReply", "list"}, wire.list().size(), kMaxListBytes, "bytes"));
  reply.list = wire.list();
  reply.list_ends = wire.list_ends();
  return reply;
}

}  // namespace uringsync::convert_internal
