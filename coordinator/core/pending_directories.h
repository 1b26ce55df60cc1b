// PendingDirectories: the subdirectories that were listed and whose own batches are still to come, in the order in
// which they come.
//
// A stack of queues: one level for each directory on the way from the root to where the merge is, holding the
// subdirectories of that directory in name order. The records lie one after the other in a SpillStack, so that neither
// a huge directory nor a deep tree costs memory beyond its fixed cache.
//
// Thread rule: one thread, the owner of `driver`. Use:
//   pending.PushLevel(number);  pending.Add(directory) ...;   // for the directory just merged
//   US_ASSIGN_OR_RETURN(std::optional<PendingDirectory> next, pending.Next());   // nullopt: PopLevel()
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/basis_trees.h"
#include "coordinator/core/spool_record.h"
#include "engine/base/entry.h"
#include "engine/base/unique_fd.h"
#include "engine/ring/driver.h"

namespace uringsync {

// A byte stack whose lower part lies in an unlinked file once it is larger than memory_bytes.
class SpillStack {
 public:
  SpillStack(Driver* driver, std::string directory, size_t memory_bytes)
      : driver_(driver), directory_(std::move(directory)), memory_bytes_(memory_bytes) {}
  uint64_t size() const { return base_ + memory_.size(); }
  absl::Status Append(std::string_view bytes);
  // Copies [offset, offset + bytes) into `out`; the range lies below size().
  absl::Status Read(uint64_t offset, size_t bytes, std::string* out);
  // Forgets everything from `size` on.
  void Truncate(uint64_t size);

 private:
  absl::Status ReadFile(uint64_t offset, size_t bytes, std::string* out);

  Driver* const driver_;
  const std::string directory_;
  const size_t memory_bytes_;
  UniqueFd file_;
  uint64_t base_ = 0;   // bytes of the stack that lie in the file
  std::string memory_;  // the rest
  std::string window_;  // read-ahead of the file, at window_offset_
  uint64_t window_offset_ = 0;
};

// What the merge does with a directory and all below it.
enum class DirectoryPlan : uint8_t {
  kMerge = 1,   // on both sides: compare
  kCreate,      // only at the source: everything in it is new
  kExtraneous,  // only at the destination, to be deleted
  kLeave,       // read past it: protected, not entered, or not to be deleted
  kMakeWay,     // a destination directory where the source has something else
  kBlocked,     // at the source, but the destination directory cannot be used
  kKept,        // at the source, but the destination keeps something else of that name (--ignore-existing)
};

// Whether a side's manifest will have this directory.
enum class Expect : uint8_t { kAbsent = 0, kRequired, kOptional };

struct PendingDirectory {
  std::string name;
  DirectoryPlan plan = DirectoryPlan::kMerge;
  Expect source = Expect::kAbsent;
  Expect destination = Expect::kAbsent;
  bool by_link = false;  // kMerge: the destination has a link of that name, which is entered
  // Set where no batch will tell: kMakeWay (what the source wants instead), directories that are not entered.
  std::optional<Entry> source_entry;
  std::optional<Entry> destination_entry;
  // kMakeWay: what basis directories have of what the source wants instead; they are read past it by then.
  std::optional<BasisMatch> basis;
};

class PendingDirectories {
 public:
  // One directory whose subdirectories are being worked off.
  struct Level {
    uint64_t begin = 0;     // of its records in the stack
    uint64_t position = 0;  // next record
    uint64_t end = 0;
    uint64_t number = 0;      // of the directory
    bool may_delete = false;  // extraneous subdirectories go
    bool goes = false;        // the directory itself is to be deleted
    bool makes_way = false;   // ... or one above it, for something else that has its name
  };
  static constexpr size_t kMemoryBytes = size_t{4} << 20;

  PendingDirectories(Driver* driver, std::string directory) : stack_(driver, std::move(directory), kMemoryBytes) {}

  // Begins a level; Add() fills it until the next call of Next().
  void PushLevel(uint64_t number) { levels_.push_back({stack_.size(), stack_.size(), stack_.size(), number}); }
  absl::Status Add(const PendingDirectory& directory);
  Level& top() { return levels_.back(); }
  // The next subdirectory of the top level; nullopt when it has no more.
  absl::StatusOr<std::optional<PendingDirectory>> Next();
  void PopLevel();
  bool empty() const { return levels_.empty(); }

 private:
  SpillStack stack_;
  std::vector<Level> levels_;
  RecordWriter writer_;
  std::string record_;
};

}  // namespace uringsync
