#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_tables.h"

namespace uringsync::convert_internal {
namespace {

constexpr std::string_view kMessage = "DirectoryBatch";

// Names of the children, strictly ascending by bytes, into `entries`.
absl::Status DecodeNames(const v1::Strings& strings, std::vector<Entry>* entries) {
  const Where where{kMessage, "names"};
  StringsReader names;
  US_RETURN_IF_ERROR(names.Init(strings, entries->size(), kMaxNameBytes, where));
  std::string_view previous;
  for (size_t row = 0; row < entries->size(); ++row) {
    const std::string_view name = names.Next();
    US_RETURN_IF_ERROR(CheckName(where, row, name));
    if (row > 0 && name <= previous) {
      return Bad(where, row,
                 Quoted(name) + (name == previous ? " appears twice" : " is out of order after " + Quoted(previous)));
    }
    (*entries)[row].name.assign(name);
    previous = name;
  }
  return absl::OkStatus();
}

absl::Status DecodeFolded(const v1::DirectoryBatch& wire, DirectoryBatch* batch) {
  const Where where{kMessage, "folded"};
  const v1::FoldedEntries& folded = wire.folded();
  if (!wire.last() || wire.error() != 0 || wire.expanded()) {
    return Bad(where, kNoRow, "entries of a listing that is not whole");
  }
  if (folded.entries() == 0 || folded.entries() > kMaxFoldedEntries || folded.files() > folded.entries()) {
    return Bad(where, kNoRow,
               std::to_string(folded.entries()) + " entries and " + std::to_string(folded.files()) + " files");
  }
  batch->folded =
      FoldedEntries{{folded.digest_low(), folded.digest_high()}, folded.entries(), folded.files(), folded.bytes()};
  return absl::OkStatus();
}

}  // namespace

absl::Status EncodeBatch(const DirectoryBatch& batch, v1::DirectoryBatch* wire) {
  US_RETURN_IF_ERROR(CheckBound({kMessage, "names"}, batch.entries.size(), kMaxEntriesPerBatch, "entries"));
  wire->set_directory(batch.directory.text());
  const Entry* self = &batch.self;
  EncodeEntries({&self, 1}, wire->mutable_self());
  std::vector<const Entry*> rows;
  rows.reserve(batch.entries.size());
  v1::Strings* names = wire->mutable_names();
  names->mutable_lengths()->Reserve(static_cast<int>(batch.entries.size()));
  for (const Entry& entry : batch.entries) {
    AddString(names, entry.name);
    rows.push_back(&entry);
  }
  EncodeEntries(rows, wire->mutable_entries());
  wire->set_last(batch.last);
  wire->set_error(static_cast<uint32_t>(batch.error));
  wire->set_expanded(batch.expanded);
  wire->set_partial(batch.partial);
  wire->set_holds_excluded(batch.holds_excluded);
  if (!batch.folded) return absl::OkStatus();
  v1::FoldedEntries* folded = wire->mutable_folded();
  folded->set_digest_low(batch.folded->digest.low);
  folded->set_digest_high(batch.folded->digest.high);
  folded->set_entries(batch.folded->entries);
  folded->set_files(batch.folded->files);
  folded->set_bytes(batch.folded->bytes);
  return absl::OkStatus();
}

absl::StatusOr<DirectoryBatch> DecodeBatch(const v1::DirectoryBatch& wire) {
  DirectoryBatch batch;
  US_ASSIGN_OR_RETURN(batch.directory, ParsePath({kMessage, "directory"}, kNoRow, wire.directory()));
  if (!wire.has_self()) return Bad({kMessage, "self"}, kNoRow, "missing");
  batch.self.name = batch.directory.name();
  Entry* self = &batch.self;
  US_RETURN_IF_ERROR(DecodeEntries(wire.self(), {&self, 1}, "DirectoryBatch.self"));
  if (batch.self.type != FileType::kDirectory) {
    return Bad({kMessage, "self"}, kNoRow,
               std::string("a ") + FileTypeName(batch.self.type) + " where a directory belongs");
  }
  const size_t rows = static_cast<size_t>(wire.names().lengths_size());
  US_RETURN_IF_ERROR(CheckBound({kMessage, "names"}, rows, kMaxEntriesPerBatch, "entries"));
  batch.entries.resize(rows);
  US_RETURN_IF_ERROR(DecodeNames(wire.names(), &batch.entries));
  std::vector<Entry*> entries;
  entries.reserve(rows);
  for (Entry& entry : batch.entries) entries.push_back(&entry);
  US_RETURN_IF_ERROR(DecodeEntries(wire.entries(), entries, "DirectoryBatch.entries"));
  batch.last = wire.last();
  if (wire.error() > kMaxErrno) return Bad({kMessage, "error"}, kNoRow, std::to_string(wire.error()) + " is no errno");
  batch.error = static_cast<int>(wire.error());
  batch.expanded = wire.expanded();
  batch.partial = wire.partial();
  batch.holds_excluded = wire.holds_excluded();
  if (wire.has_folded()) US_RETURN_IF_ERROR(DecodeFolded(wire, &batch));
  return batch;
}

absl::Status EncodeGroup(const FoldedGroup& group, v1::FoldedGroup* wire) {
  US_RETURN_IF_ERROR(CheckBound({"FoldedGroup", "batches"}, group.batches.size(), kMaxFoldedGroup, "listings"));
  v1::DirectoryBatch encoded;
  std::string bytes;
  for (const DirectoryBatch& batch : group.batches) {
    encoded.Clear();
    US_RETURN_IF_ERROR(EncodeBatch(batch, &encoded));
    encoded.SerializeToString(&bytes);
    AddString(wire->mutable_batches(), bytes);
  }
  return absl::OkStatus();
}

absl::StatusOr<FoldedGroup> DecodeGroup(const v1::FoldedGroup& wire) {
  const Where where{"FoldedGroup", "batches"};
  const size_t count = static_cast<size_t>(wire.batches().lengths_size());
  US_RETURN_IF_ERROR(CheckBound(where, count, kMaxFoldedGroup, "listings"));
  if (count == 0) return Bad(where, kNoRow, "none");
  StringsReader reader;
  US_RETURN_IF_ERROR(reader.Init(wire.batches(), count, kMaxControlMessageBytes, where));
  FoldedGroup group;
  group.batches.reserve(count);
  v1::DirectoryBatch encoded;
  for (size_t row = 0; row < count; ++row) {
    const std::string_view bytes = reader.Next();
    if (!encoded.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return Bad(where, row, "is no DirectoryBatch");
    US_ASSIGN_OR_RETURN(DirectoryBatch batch, DecodeBatch(encoded));
    if (!batch.folded) return Bad(where, row, "is not folded");
    group.batches.push_back(std::move(batch));
  }
  return group;
}

}  // namespace uringsync::convert_internal
