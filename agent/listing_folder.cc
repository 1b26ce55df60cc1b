#include "agent/listing_folder.h"

#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "proto/wire_size.h"

namespace uringsync {

std::vector<DirectoryBatch> SplitForWire(DirectoryBatch batch) {
  std::vector<DirectoryBatch> parts;
  size_t total = 0;
  for (const Entry& entry : batch.entries) total += WireBytesBound(entry);
  if (total <= kTargetBatchBytes) {
    parts.push_back(std::move(batch));
    return parts;
  }
  size_t bytes = kTargetBatchBytes;
  for (Entry& entry : batch.entries) {
    const size_t more = WireBytesBound(entry);
    if (parts.empty() || bytes + more > kTargetBatchBytes) {
      DirectoryBatch part;
      part.directory = batch.directory;
      part.self = batch.self;
      part.last = false;
      part.error = batch.error;
      part.holds_excluded = batch.holds_excluded;
      part.partial = batch.partial;
      part.expanded = batch.expanded;
      parts.push_back(std::move(part));
      bytes = 0;
    }
    parts.back().entries.push_back(std::move(entry));
    bytes += more;
  }
  parts.back().last = batch.last;
  return parts;
}

ListingBuilder::Output ListingBuilder::Add(DirectoryBatch batch, bool fold) {
  Output output;
  const bool last = batch.last;
  waiting_entries_ += batch.entries.size();
  if (!fold || batch.error != 0 || waiting_entries_ > kMaxFoldedEntries) too_large_ = true;
  waiting_.push_back(std::move(batch));
  if (!last && !too_large_) return output;
  if (too_large_ || !TryFold(&output)) output.plain = std::move(waiting_);
  waiting_.clear();
  if (last) {
    waiting_entries_ = 0;
    too_large_ = false;
  }
  return output;
}

bool ListingBuilder::TryFold(Output* output) {
  FoldedListing listing;
  std::vector<Entry>& explicit_entries = listing.message.entries;
  size_t explicit_bytes = 0;
  digester_.Begin();
  for (const DirectoryBatch& batch : waiting_) {
    for (const Entry& entry : batch.entries) {
      const size_t bytes = WireBytesBound(entry);
      listing.wire_bytes += bytes;
      if (digester_.Add(entry)) continue;
      explicit_bytes += bytes;
      explicit_entries.push_back(entry);
    }
  }
  if (digester_.entries() < kMinFolded || explicit_bytes > kTargetBatchBytes ||
      explicit_entries.size() > kMaxEntriesPerBatch || listing.wire_bytes > kMaxFoldedBytes) {
    return false;
  }
  listing.entries = waiting_entries_;
  listing.message_bytes =
      explicit_bytes + waiting_.front().directory.text().size() + WireBytesBound(waiting_.front().self);
  listing.message.directory = waiting_.front().directory;
  listing.message.self = waiting_.front().self;
  listing.message.holds_excluded = waiting_.front().holds_excluded;
  listing.message.folded = digester_.Finish();
  listing.batches = std::move(waiting_);
  output->folded = std::move(listing);
  return true;
}

bool FoldWindow::HasRoom(size_t entries, size_t wire_bytes) const {
  if (kept_.empty()) return true;
  return kept_.size() < kMaxFoldedListings && entries_ + entries <= kMaxEntries &&
         wire_bytes_ + wire_bytes <= kMaxBytes;
}

void FoldWindow::Keep(FoldedListing listing) {
  entries_ += listing.entries;
  wire_bytes_ += listing.wire_bytes;
  listing.message = DirectoryBatch();
  kept_.push_back(std::move(listing));
}

absl::StatusOr<std::vector<DirectoryBatch>> FoldWindow::Judge(const ListingVerdicts& verdicts) {
  if (verdicts.through < judged_ || verdicts.through > judged_ + kept_.size()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "ListingVerdicts.through: listing " + std::to_string(verdicts.through) + " where " +
                          std::to_string(judged_) + " to " + std::to_string(judged_ + kept_.size()) + " can be judged");
  }
  if (!verdicts.expand.empty() && verdicts.expand.front() <= judged_) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "ListingVerdicts.expand: a listing that was judged before");
  }
  std::vector<DirectoryBatch> wanted;
  size_t next = 0;
  while (judged_ < verdicts.through) {
    FoldedListing listing = std::move(kept_.front());
    kept_.pop_front();
    ++judged_;
    entries_ -= listing.entries;
    wire_bytes_ -= listing.wire_bytes;
    if (next == verdicts.expand.size() || verdicts.expand[next] != judged_) continue;
    ++next;
    for (DirectoryBatch& batch : listing.batches) {
      batch.expanded = true;
      for (DirectoryBatch& part : SplitForWire(std::move(batch))) wanted.push_back(std::move(part));
    }
  }
  return wanted;
}

}  // namespace uringsync
