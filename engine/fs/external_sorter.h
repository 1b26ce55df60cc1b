// ExternalSorter: sorts records that may be too many for memory.
//
// Records collect in memory; full loads are sorted and written as runs to one unlinked file; reading merges the runs,
// at most kFanIn at once (more runs are first merged into longer ones). Records that compare equal keep the order of
// Add. Thread rule: the shard that owns `driver`, one user at a time. Use:  ExternalSorter sorter(driver, less, {});
// Add...;  US_RETURN_IF_ERROR(sorter.Finish());
//       std::string record;  while (...) { US_ASSIGN_OR_RETURN(bool more, sorter.Next(&record)); ... }
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "engine/fs/spool.h"
#include "engine/ring/driver.h"

namespace uringsync {

struct ExternalSorterOptions {
  size_t memory_bytes = size_t{8} << 20;  // records held before a run is written
  std::string directory;                  // of the temporary file, as SpoolOptions
};

class ExternalSorter {
 public:
  using Less = std::function<bool(std::string_view, std::string_view)>;
  static constexpr size_t kFanIn = 32;                         // runs merged at once
  static constexpr size_t kRunBufferBytes = size_t{64} << 10;  // read-ahead of each

  ExternalSorter(Driver* driver, Less less, ExternalSorterOptions options);
  ~ExternalSorter();
  ExternalSorter(const ExternalSorter&) = delete;
  ExternalSorter& operator=(const ExternalSorter&) = delete;

  // Errors (full disk) leave the sorter unusable.
  absl::Status Add(std::string_view record);
  // No Add after this.
  absl::Status Finish();
  // After Finish: true with the next record in ascending order, false at the end.
  absl::StatusOr<bool> Next(std::string* record);
  uint64_t records() const { return records_; }
  bool spilled() const { return file_.valid(); }

 private:
  struct Run {  // [begin, end) of the file: records, each length (u32) and bytes
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  class RunReader;
  class Merge;
  struct Place {
    uint64_t offset = 0;
    uint32_t length = 0;
  };

  std::string_view At(const Place& place) const { return std::string_view(arena_).substr(place.offset, place.length); }
  void SortMemory();
  absl::Status WriteRun();
  absl::Status ReduceRuns();
  absl::StatusOr<Run> WriteMerged(const std::vector<Run>& runs);

  Driver* driver_;
  Less less_;
  ExternalSorterOptions options_;
  std::string arena_;          // bytes of the records in memory
  std::vector<Place> places_;  // sorted by SortMemory
  size_t next_place_ = 0;
  UniqueFd file_;
  uint64_t file_bytes_ = 0;
  std::vector<Run> runs_;  // in the order of Add
  std::unique_ptr<Merge> merge_;
  uint64_t records_ = 0;
  bool finished_ = false;
};

}  // namespace uringsync
