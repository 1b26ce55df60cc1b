// BenchScratch: the scratch tree of one bench step, with a directory for each shard; it goes when the object does.
//
// Thread rule: made and destroyed on shard 0; directory() from any shard.
// Use:  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<BenchScratch> scratch, BenchScratch::Make(step->subject));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/bench_step.h"
#include "engine/fs/scratch_tree.h"

namespace uringsync {

class BenchScratch {
 public:
  static absl::StatusOr<std::unique_ptr<BenchScratch>> Make(const BenchSubject& subject);
  ~BenchScratch();
  BenchScratch(const BenchScratch&) = delete;
  BenchScratch& operator=(const BenchScratch&) = delete;

  const DirectoryPtr& directory(size_t shard) const { return directories_[shard]; }
  StateNamer* namer() { return &namer_; }
  // Bytes that the step may write: what was asked for, or a quarter of what is free. ResourceExhausted below
  // kMinBenchBytes.
  absl::StatusOr<uint64_t> ByteLimit(uint64_t max_bytes) const;

 private:
  BenchScratch(Driver* driver, const BenchSubject& subject);

  Driver* const driver_;
  const DirectoryPtr root_;
  StateNamer namer_;
  ScratchTree tree_;
  std::vector<DirectoryPtr> directories_;
};

}  // namespace uringsync
