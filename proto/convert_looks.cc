#include "proto/convert_looks.h"

#include <string>

#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_fields.h"
#include "proto/convert_tables.h"

namespace uringsync::convert_internal {

absl::StatusOr<std::optional<DigestKey>> DecodeDigestKey(Where where, std::string_view wire) {
  std::optional<DigestKey> key;
  if (!wire.empty()) US_RETURN_IF_ERROR(DecodeBytes(where, wire, &key.emplace()));
  return key;
}

absl::Status EncodeEntryQuery(const EntryQuery& query, v1::EntryQuery* wire) {
  if (query.digest_key) wire->set_digest_key(EncodeBytes(*query.digest_key));
  return EncodePaths({"EntryQuery", "paths"}, query.paths, kMaxEntryQuery, wire->mutable_paths());
}

absl::StatusOr<EntryQuery> DecodeEntryQuery(const v1::EntryQuery& wire) {
  const Where where{"EntryQuery", "paths"};
  EntryQuery query;
  US_ASSIGN_OR_RETURN(query.paths, DecodePaths(where, wire.paths(), kMaxEntryQuery));
  if (query.paths.empty()) return Bad(where, kNoRow, "none");
  US_ASSIGN_OR_RETURN(query.digest_key, DecodeDigestKey({"EntryQuery", "digest_key"}, wire.digest_key()));
  return query;
}

absl::Status EncodeEntryReply(const EntryReply& reply, v1::EntryReply* wire) {
  US_RETURN_IF_ERROR(CheckBound({"EntryReply", "errors"}, reply.findings.size(), kMaxEntryQuery, "rows"));
  std::vector<const Entry*> entries;
  for (size_t row = 0; row < reply.findings.size(); ++row) {
    const EntryFinding& finding = reply.findings[row];
    wire->add_errors(finding.entry ? 0 : static_cast<uint32_t>(finding.error));
    if (!finding.entry) continue;
    wire->add_found_rows(static_cast<uint32_t>(row));
    entries.push_back(&*finding.entry);
  }
  EncodeEntries(entries, wire->mutable_entries());
  return absl::OkStatus();
}

absl::StatusOr<EntryReply> DecodeEntryReply(const v1::EntryReply& wire) {
  const Where where{"EntryReply", "errors"};
  const size_t rows = static_cast<size_t>(wire.errors_size());
  US_RETURN_IF_ERROR(CheckBound(where, rows, kMaxEntryQuery, "rows"));
  if (rows == 0) return Bad(where, kNoRow, "none");
  US_RETURN_IF_ERROR(CheckRows(wire.found_rows(), rows, {"EntryReply", "found_rows"}));
  EntryReply reply;
  reply.findings.resize(rows);
  for (size_t row = 0; row < rows; ++row) {
    const uint32_t error = wire.errors(static_cast<int>(row));
    if (error > kMaxErrno) return Bad(where, row, std::to_string(error) + " is no errno");
    reply.findings[row].error = static_cast<int>(error);
  }
  std::vector<Entry*> entries;
  for (const uint32_t row : wire.found_rows()) {
    if (reply.findings[row].error != 0) return Bad(where, row, "an error beside an entry");
    entries.push_back(&reply.findings[row].entry.emplace());
  }
  US_RETURN_IF_ERROR(DecodeEntries(wire.entries(), entries, "EntryReply.entries"));
  return reply;
}

}  // namespace uringsync::convert_internal
