// ManifestCursor: walks one manifest and believes nothing of it.
//
// Gives the entries of one directory after the other, whatever batches they came in, and fails with InvalidArgument (a
// protocol error) for everything that breaks the order: entries unsorted or twice, a directory that changes before its
// last batch, a directory whose own entry is none. Which directories may come is the planner's to check: Enter()
// answers only whether the next one is the one asked for.
//
// Memory: one batch. Thread rule: one thread. Use:
//   US_ASSIGN_OR_RETURN(bool there, cursor.Enter(path));
//   while (true) { US_ASSIGN_OR_RETURN(Entry* entry, cursor.Peek()); if (entry == nullptr) break; ...; cursor.Pop(); }
#pragma once

#include <optional>
#include <string>

#include "coordinator/core/planner.h"

namespace uringsync {

class ManifestCursor {
 public:
  ManifestCursor(Side side, ManifestStream* stream) : side_(side), stream_(stream) {}
  ManifestCursor(const ManifestCursor&) = delete;
  ManifestCursor& operator=(const ManifestCursor&) = delete;

  // Begins the directory `path` when it is the next one; false when another one is, or none. Every entry of the one
  // before must have been taken.
  absl::StatusOr<bool> Enter(const RelPath& path);
  // The directory's own entry; to be read from Enter() (true) to the next Enter().
  const Entry& self() const { return batch_->self; }
  // What the other side folded equally; null where every entry was sent. To be read like self().
  const FoldedEntries* matched() const { return batch_->matched ? &*batch_->folded : nullptr; }
  // The directory holds objects that are not told and stay, as far as the listing has come.
  bool holds_excluded() const { return holds_excluded_; }
  // The directory may hold more than its entries here tell. To be read like self().
  bool partial() const { return partial_; }
  // errno of the listing as far as it has come.
  int listing_error() const { return listing_error_; }
  // The next entry of the directory, to be moved from at will; null after the last one. Stable until Pop().
  absl::StatusOr<Entry*> Peek() {
    if (inside_ && next_ < batch_->entries.size()) return &batch_->entries[next_];
    return PeekSlow();
  }
  void Pop() { ++next_; }
  // OK when the stream has nothing more; otherwise an error that names what came.
  absl::Status ExpectEnd();
  // InvalidArgument: "manifest of the source: <what>".
  absl::Status Broken(const std::string& what) const;

 private:
  absl::StatusOr<Entry*> PeekSlow();
  // Replaces batch_ by the next one; nullopt at the end.
  absl::Status Load();
  absl::Status CheckEntries();

  const Side side_;
  ManifestStream* const stream_;
  std::optional<DirectoryBatch> batch_;  // being read while inside_, else the one that comes next
  bool loaded_ = false;                  // batch_ says what comes next (nullopt: the end)
  bool inside_ = false;
  size_t next_ = 0;
  int listing_error_ = 0;
  bool holds_excluded_ = false;
  bool partial_ = false;
  std::string last_name_;  // of the batches before this one, of the same directory
};

}  // namespace uringsync
