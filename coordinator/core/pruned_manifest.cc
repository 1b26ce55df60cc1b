#include "coordinator/core/pruned_manifest.h"

#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr size_t kMemoryBytes = size_t{1} << 20;

bool Less(std::string_view a, std::string_view b) {
  return a < b;
}

// Something that is there, or may be.
bool Counts(const Entry& entry) {
  return entry.type != FileType::kDirectory || entry.error != 0 || entry.pruned;
}

}  // namespace

PrunedManifest::PrunedManifest(ManifestStream* source, Driver* driver, const std::string& spool_directory)
    : source_(source),
      batches_(driver, {kMemoryBytes, spool_directory}),
      empty_(driver, Less, {kMemoryBytes, spool_directory}) {}

absl::Status PrunedManifest::CloseTo(size_t depth) {
  while (open_.size() > depth) {
    const Open closed = std::move(open_.back());
    open_.pop_back();
    if (kept_[closed.number] || open_.empty()) continue;
    writer_.Clear();
    writer_.PutKey(open_.back().number);
    US_RETURN_IF_ERROR(empty_.Add(writer_.bytes() + std::string(closed.path.name())));
  }
  return absl::OkStatus();
}

absl::Status PrunedManifest::Note(const DirectoryBatch& batch) {
  if (open_.empty() || open_.back().path != batch.directory) {
    US_RETURN_IF_ERROR(CloseTo(batch.directory.depth()));
    open_.push_back({kept_.size(), batch.directory});
    kept_.push_back(batch.directory.is_root() || batch.error != 0 || batch.self.error != 0);
  }
  bool counts = kept_[open_.back().number] || batch.error != 0 || batch.folded.has_value();
  for (const Entry& entry : batch.entries) counts = counts || Counts(entry);
  // Those above a kept one are kept already, unless it has just become so.
  for (size_t i = open_.size(); counts && i > 0; --i) {
    if (kept_[open_[i - 1].number] && i < open_.size()) break;
    kept_[open_[i - 1].number] = true;
  }
  writer_.Clear();
  writer_.PutNumber(open_.back().number);
  writer_.PutPath(batch.directory);
  writer_.PutEntry(batch.self);
  writer_.PutByte(static_cast<uint8_t>((batch.last ? 1 : 0) | (batch.partial ? 2 : 0)));
  writer_.PutNumber(static_cast<uint32_t>(batch.error));
  writer_.PutNumber(batch.entries.size());
  for (const Entry& entry : batch.entries) writer_.PutEntry(entry);
  return batches_.Append(writer_.bytes());
}

absl::Status PrunedManifest::ReadAll() {
  while (true) {
    US_ASSIGN_OR_RETURN(const std::optional<DirectoryBatch> batch, source_->Next());
    if (!batch) break;
    if (batch->folded) return absl::InternalError("folded entries cannot be pruned");
    US_RETURN_IF_ERROR(Note(*batch));
  }
  US_RETURN_IF_ERROR(CloseTo(0));
  US_RETURN_IF_ERROR(empty_.Finish());
  US_ASSIGN_OR_RETURN(more_empty_, empty_.Next(&key_));
  reader_ = batches_.Forward();
  return absl::OkStatus();
}

absl::StatusOr<bool> PrunedManifest::IsEmpty(uint64_t parent, std::string_view name) {
  writer_.Clear();
  writer_.PutKey(parent);
  const std::string wanted = writer_.bytes() + std::string(name);
  while (more_empty_ && key_ < wanted) {
    US_ASSIGN_OR_RETURN(more_empty_, empty_.Next(&key_));
  }
  return more_empty_ && key_ == wanted;
}

absl::Status PrunedManifest::DropEmpty(uint64_t number, DirectoryBatch* batch) {
  std::vector<Entry> entries;
  entries.reserve(batch->entries.size());
  for (Entry& entry : batch->entries) {
    bool empty = !Counts(entry) && entry.not_entered;
    if (!empty && !Counts(entry)) {
      US_ASSIGN_OR_RETURN(empty, IsEmpty(number, entry.name));
    }
    if (!empty) entries.push_back(std::move(entry));
  }
  batch->entries = std::move(entries);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<DirectoryBatch>> PrunedManifest::Next() {
  if (!std::exchange(read_, true)) US_RETURN_IF_ERROR(ReadAll());
  std::string record;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, reader_->Next(&record));
    if (!more) return std::optional<DirectoryBatch>();
    RecordReader fields(record);
    const uint64_t number = fields.GetNumber();
    if (!fields.ok() || number >= kept_.size()) return DamagedSpool();
    if (!kept_[number]) continue;
    DirectoryBatch batch;
    batch.directory = fields.GetPath();
    batch.self = fields.GetEntry();
    const uint8_t flags = fields.GetByte();
    batch.last = (flags & 1) != 0;
    batch.partial = (flags & 2) != 0;
    batch.error = static_cast<int>(fields.GetNumber());
    for (uint64_t left = fields.GetNumber(); left > 0 && fields.ok(); --left)
      batch.entries.push_back(fields.GetEntry());
    if (!fields.ok()) return DamagedSpool();
    US_RETURN_IF_ERROR(DropEmpty(number, &batch));
    return std::optional<DirectoryBatch>(std::move(batch));
  }
}

}  // namespace uringsync
