// ListingFolder: what a session's manifest does with the listings that come from the scanner: which travel as a digest,
// and what is kept of those until the coordinator has judged them.
//
// The entries of a folded listing stay here until ListingVerdicts says that they are wanted or not: what was compared
// is what is then acted upon, with no second look at the directory. The window of kept listings is bounded; a sender
// waits for room in it.
//
// Thread rule: none of its own; ManifestSender guards Keep, HasRoom and Judge by its mutex, Fold belongs to the sending
// coroutine.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tree/listing_digest.h"
#include "proto/messages.h"

namespace uringsync {

// `batch` in parts of at most kTargetBatchBytes on the wire (long link targets make big entries), in order; only the
// last one keeps `last`.
std::vector<DirectoryBatch> SplitForWire(DirectoryBatch batch);

// A directory's listing, whole, and the message that stands for it.
struct FoldedListing {
  DirectoryBatch message;
  std::vector<DirectoryBatch> batches;  // with every entry
  size_t entries = 0;
  size_t wire_bytes = 0;     // of all entries
  size_t message_bytes = 0;  // of `message`
};

// Decides which listings are folded, and makes their messages. One for each manifest.
class ListingBuilder {
 public:
  explicit ListingBuilder(DigestRules rules) : digester_(std::move(rules)) {}

  // Takes the scanner's next batch; `fold` false: nothing is folded any more. Gives what can be sent now: a folded
  // listing, or batches with all their entries; neither while the rest of a directory is waited for.
  struct Output {
    std::optional<FoldedListing> folded;
    std::vector<DirectoryBatch> plain;
  };
  Output Add(DirectoryBatch batch, bool fold);

 private:
  // Few entries are told sooner than a digest of them.
  static constexpr uint64_t kMinFolded = 2;
  static constexpr size_t kMaxFoldedBytes = size_t{4} << 20;  // of one listing on the wire
  bool TryFold(Output* output);

  ListingDigester digester_;
  std::vector<DirectoryBatch> waiting_;  // of one directory
  size_t waiting_entries_ = 0;
  bool too_large_ = false;  // the directory being taken is sent as it comes
};

// Listings that were sent folded and not judged yet.
class FoldWindow {
 public:
  static constexpr size_t kMaxEntries = 32768;
  static constexpr size_t kMaxBytes = size_t{16} << 20;

  // A listing of this size may be sent. One alone always may.
  bool HasRoom(size_t entries, size_t wire_bytes) const;
  void Keep(FoldedListing listing);
  // Forgets what is judged; gives the entries of what is wanted, marked as expanded, ready to be sent. InvalidArgument
  // for listings that were not sent or were judged before.
  absl::StatusOr<std::vector<DirectoryBatch>> Judge(const ListingVerdicts& verdicts);

 private:
  std::deque<FoldedListing> kept_;
  uint64_t judged_ = 0;  // number of the last one
  size_t entries_ = 0;
  size_t wire_bytes_ = 0;
};

}  // namespace uringsync
