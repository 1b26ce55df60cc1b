// MovedFiles: finds out which files were moved or renamed at the source (--detect-renames).
//
// Puts of files with contents are held back until both trees are known, and so is every file of the destination that
// will be deleted or replaced, or that only the destination has. Then both are joined, each pass with what the one
// before left over:
//   1. equal size, time and name   2. equal size and time   3. equal size and name
// Among several the one whose directories are called alike, from the file upwards, is taken: so a renamed directory of
// files that all look the same finds each of them. A put that found something gets it as its Action::origin. That is a
// guess: the destination's agent compares contents before it uses anything.
//
// Everything is in spools and external sorters, in memory that does not grow with the trees.
//
// Thread rule: one thread, the owner of `driver`. Use:
//   emitter.HoldCreates([&](const PlannedAction& put) { return moved.AddPut(put); }, MovedFiles::IsPut);
//   moved.AddCandidate(path, entry, fate) ...;  US_RETURN_IF_ERROR(moved.EmitAll(emitter));
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "coordinator/core/plan_emitter.h"
#include "coordinator/core/spool_record.h"
#include "engine/fs/external_sorter.h"
#include "engine/fs/spool.h"

namespace uringsync {

class MovedFiles {
 public:
  using Fate = ActionOrigin::Fate;
  static constexpr size_t kSpoolMemoryBytes = size_t{1} << 20;
  static constexpr size_t kSortMemoryBytes = size_t{4} << 20;  // of each of the sorts; two at once

  // `time_granularity_ns` and `time_range` of the destination's file system.
  MovedFiles(Driver* driver, const std::string& directory, const PlanOptions& options);

  // A put that a moved file may be the answer to.
  static bool IsPut(const PlannedAction& planned);
  // A put that IsPut chose. What it replaces becomes a candidate.
  absl::Status AddPut(const PlannedAction& planned);
  // A file of the destination; others than regular ones with contents are left out.
  absl::Status AddCandidate(const RelPath& path, const Entry& entry, Fate fate);
  // Joins, and emits all puts in the order in which they came. To be called once; HoldCreates is over by then.
  absl::Status EmitAll(PlanEmitter& emitter);

 private:
  enum class Pass : uint8_t { kSizeTimeName = 1, kSizeTime, kSizeName };
  struct Item;     // a put or a candidate in a pass
  class Matching;  // of one pass

  absl::Status AddItem(Pass pass, const Item& item);
  absl::Status RunPass(Pass pass);
  absl::Status AddMatch(uint64_t put, const Item& candidate);
  // What a pass left over, for the next one.
  absl::Status PassOn(Pass pass, const Item& item);
  FileTime KeptTime(const FileTime& time) const;

  Driver* const driver_;
  const std::string directory_;
  const bool replaced_count_;
  const uint32_t time_granularity_ns_;
  const TimeRange time_range_;
  Spool puts_;
  ExternalSorter matches_;                 // by the put's number
  std::unique_ptr<ExternalSorter> items_;  // of the pass that comes
  uint64_t put_count_ = 0;
  uint64_t candidate_count_ = 0;
  RecordWriter writer_;
};

}  // namespace uringsync
