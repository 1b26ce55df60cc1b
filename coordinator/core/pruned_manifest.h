// PrunedManifest: a manifest without the directories that hold nothing but directories (--prune-empty-dirs).
//
// Whether a directory is empty in this sense is known only when all below it has been read, and the entries of its
// parent come long before: so the whole manifest waits in a spool, and is handed out when its end has come. The root is
// never left out, nor is a directory that could not be looked at or listed: nobody knows what is in it.
//
// Memory: one batch, the spools' caches and one bit for each directory. A manifest out of order is handed on as it is,
// for the planner to refuse. Thread rule: one thread, the owner of `driver`. Use:  PrunedManifest pruned(&source,
// driver, spool_directory);  planner.Run(pruned, destination, sink);
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/planner.h"
#include "coordinator/core/spool_record.h"
#include "engine/fs/external_sorter.h"
#include "engine/fs/spool.h"

namespace uringsync {

class PrunedManifest final : public ManifestStream {
 public:
  // `source` outlives this object; entries must not be folded. The spool is as the planner's.
  PrunedManifest(ManifestStream* source, Driver* driver, const std::string& spool_directory);

  absl::StatusOr<std::optional<DirectoryBatch>> Next() override;

 private:
  struct Open {
    uint64_t number = 0;
    RelPath path;
  };
  // Reads the source to its end.
  absl::Status ReadAll();
  absl::Status Note(const DirectoryBatch& batch);
  // Leaves the directories below `depth`, of which no more comes.
  absl::Status CloseTo(size_t depth);
  // Drops the entries of empty directories from a batch of the directory `number`.
  absl::Status DropEmpty(uint64_t number, DirectoryBatch* batch);
  // Whether the directory `name` in `parent` is empty; to be asked in the order of the manifest.
  absl::StatusOr<bool> IsEmpty(uint64_t parent, std::string_view name);

  ManifestStream* const source_;
  Spool batches_;
  ExternalSorter empty_;    // parent's number and name of each empty directory
  std::vector<bool> kept_;  // by number, in the order of the manifest
  std::vector<Open> open_;  // from the root to the directory that was read last
  RecordWriter writer_;
  bool read_ = false;
  std::optional<Spool::Reader> reader_;
  std::string key_;  // of the next empty directory
  bool more_empty_ = false;
};

}  // namespace uringsync
