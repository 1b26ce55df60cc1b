// ManifestScanner: the ordered manifest of a tree, scanned by all shards in parallel, in bounded memory.
//
// Batches come depth-first, a directory before its subdirectories, siblings by name bytes (the order of
// DirectoryBatch). A huge directory comes in several consecutive batches.
//
// Links that are followed show as what they lead to: so a tree with a loop ends where the kernel says ELOOP, which is
// after 40 links. What shows: everything but temporaries of ours (IsStateName), the directory lost+found at a mount
// root, and what the filter leaves out. Errors: an object that cannot be looked at has Entry::error; a directory that
// cannot be listed has DirectoryBatch::error, and its batch still comes; its entries are then empty. No batch comes of
// a directory whose entry has an error or not_entered. Only a fault of the scan itself (no disk for its spool,
// cancelled) ends it.
//
// Thread rule: Start and Next on one shard of the runtime, one caller at a time; the work runs on all shards. Close
// must be awaited before the scanner is destroyed, also after an error. Use:  std::unique_ptr<ManifestScanner> scanner
// = ManifestScanner::Start(runtime, root, options);
//       while (true) {
//         absl::StatusOr<std::optional<DirectoryBatch>> batch = co_await scanner->Next();
//         if (!batch.ok() || !batch->has_value()) break;
//       }
//       co_await scanner->Close();
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/ring/runtime.h"
#include "engine/tree/directory_listing.h"
#include "engine/tree/scan_filter.h"

namespace uringsync {

struct ScanOptions {
  MetadataSelection selection;   // which attributes are digested; atime is reported when selected
  bool checksum = false;         // content digests of regular files
  bool prove = false;            // Entry::proof; links are not followed then
  bool one_file_system = false;  // directories of another device get not_entered
  // Destination: remove temporaries whose session is not this one (the caller holds the subtree lock).
  std::optional<uint64_t> remove_strays_but;
  // With that: a directory of this name is one, too, where nothing is in it (a run that delayed its updates ended while
  // it removed such); empty: none is.
  std::string empty_stray;
  // Source: names of temporaries that no rule leaves out are counted, and what is somebody else's for sure
  // (IsForeignState) is told, with EUCLEAN.
  bool tell_temporaries = false;
  ScanFilter filter;
  // Links that are followed; `base` and `depth` are those of the scan's root.
  std::optional<ScanLinks> links;
  CancelToken cancel;
  std::string spool_directory;  // of the names of huge directories; empty: $TMPDIR, else /tmp
  size_t shards = 0;            // that scan; 0: all
  // Bounds. Entries that were read ahead of the consumer, all shards together (the head directory may always go on).
  size_t read_ahead_entries = 16384;
  size_t window_nodes = 4096;      // directories that are known and not yet handed out, in memory; the rest is on disk
  size_t names_in_memory = 32768;  // names of one directory beyond which they are sorted on disk
};

struct ScanTotals {
  uint64_t directories = 0;
  uint64_t entries = 0;
  uint64_t errors = 0;
  uint64_t strays_removed = 0;
  uint64_t temporaries = 0;  // that are left out, where these are told
  RelPath first_temporary;   // one of those
};

// An ordered manifest, whatever it is made of. Thread rule and use as ManifestScanner's.
class ManifestProducer {
 public:
  virtual ~ManifestProducer() = default;
  // The next batch; nullopt at the end; an error ends the scan.
  virtual Task<absl::StatusOr<std::optional<DirectoryBatch>>> Next() = 0;
  // Cancels what is running and joins it.
  virtual Task<void> Close() = 0;
  // Of everything handed out so far.
  virtual const ScanTotals& totals() const = 0;
};

class ManifestScanner final : public ManifestProducer {
 public:
  static constexpr size_t kBatchEntries = 1024;  // at most, of one DirectoryBatch

  static std::unique_ptr<ManifestScanner> Start(Runtime* runtime, DirectoryPtr root, ScanOptions options);
  // CHECKs that Close was awaited.
  ~ManifestScanner() override;

  Task<absl::StatusOr<std::optional<DirectoryBatch>>> Next() override;
  Task<void> Close() override;
  const ScanTotals& totals() const override;

 private:
  class Impl;
  explicit ManifestScanner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace uringsync
