// LeafPlacer: makes one leaf of the staged file right, with as little from the source as its digests allow.
//
//   old bytes where the plan says so, the rest fetched  → tag equal?  → write
//   else blocks that differ (XXH3-64 proposes), fetched → tag equal?  → write
//   else the whole leaf, fetched                        → tag equal?  → write, or the file fails
//                                        (FileRequest::accept_moving: written all the same)
//
// What is hashed is what is written, from one buffer; bytes of a clone are read from the clone itself. So neither an
// old file that changes meanwhile nor a wrong block digest can spoil the result.
//
// Thread rule: one shard; several leaves at once.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/coro/task.h"
#include "engine/transfer/delta_job.h"

namespace uringsync {

// Blocks that are compared within a leaf. Measured: docs/decisions/0005-delta.md.
constexpr uint32_t kDeltaBlockBytes = 4096;
// A leaf with more separate changes, or with more than half of it changed, is fetched whole.
constexpr size_t kMaxLeafRuns = 24;

class LeafPlacer {
 public:
  LeafPlacer(DeltaJob* job, const DeltaLane& lane)
      : job_(job), lane_(lane), driver_(lane.shard->driver()), hasher_(job->leaf_key) {
    const uint32_t asked = job->shared->options().delta_block_bytes;
    if (asked != 0) block_bytes_ = asked;
  }

  struct Leaf {
    Leaf(uint64_t at, size_t bytes_long, const LeafRecord& wanted, DeltaBuffer memory)
        : offset(at), length(bytes_long), record(wanted), buffer(std::move(memory)) {}
    uint64_t offset = 0;
    size_t length = 0;
    LeafRecord record;
    DeltaBuffer buffer;
    std::vector<LeafRun> gaps;   // what no old bytes were proposed for
    std::vector<LeafRun> dirty;  // what is not in the staged file yet
    uint64_t fetched_bytes = 0;

    std::span<std::byte> bytes() const { return buffer.span().first(length); }
  };

  // Takes old bytes into the buffer. True: it is all there and right.
  Task<bool> TakeOld(Leaf* leaf);
  // Fetches what is missing or wrong, and writes.
  Task<void> Repair(Leaf leaf);
  // Writes a leaf that is right.
  Task<void> Write(Leaf* leaf);
  // A leaf that is nothing but a hole.
  Task<void> MakeHole(uint64_t offset, size_t length);

 private:
  Task<bool> Fetch(Leaf* leaf, std::vector<LeafRun> runs);
  Task<void> FetchRun(Leaf* leaf, LeafRun run);
  Task<bool> FetchWhole(Leaf* leaf);
  Task<bool> FetchChangedBlocks(Leaf* leaf);
  bool IsRight(const Leaf& leaf) { return hasher_.Tag(leaf.offset / kLeafBytes, leaf.bytes()) == leaf.record.digest; }
  Task<absl::Status> WriteRun(const Leaf& leaf, LeafRun run);
  Task<absl::Status> WriteZeros(uint64_t offset, size_t length, std::span<const std::byte> zeros);
  void FailWrite(const absl::Status& error);

  DeltaJob* const job_;
  const DeltaLane lane_;
  Driver* const driver_;
  uint32_t block_bytes_ = kDeltaBlockBytes;
  LeafHasher hasher_;
};

}  // namespace uringsync
