// ChunkIndex: where the chunks of the old file lie, and CopyPlan: which bytes of the new file can come from there.
//
// The index is an open table of 16 bytes an entry with a bound: a file with more chunks is none that this works for. Of
// equal chunks one is kept. What it finds is a proposal (XXH3-64); the tag of each finished leaf decides.
//
// Thread rule: one thread at a time; Find is const.
// Use:  index.Add(chunk, offset);  ...  plan.Add(list, range_offset, index);  plan.Finish();
//       for (const CopyRun& run : plan.Within(offset, length)) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/delta/chunker.h"

namespace uringsync {

// Entries of one index: 16 MiB of table when full. With the largest average that is an old file of 64 GiB and more.
constexpr size_t kMaxIndexedChunks = size_t{512} << 10;
// Largest offset that an entry can hold.
constexpr uint64_t kMaxIndexedFile = uint64_t{1} << 44;

class ChunkIndex {
 public:
  // False: the index is full, or the chunk lies too far; it was not added.
  bool Add(const Chunk& chunk, uint64_t offset);
  // Offset in the old file of a chunk with this length and digest.
  std::optional<uint64_t> Find(const Chunk& chunk) const;
  size_t size() const { return used_; }

 private:
  struct Slot {
    uint64_t digest = 0;
    uint64_t place = 0;  // offset << 20 | length; 0: free
  };
  void Grow();
  size_t Start(uint64_t digest) const { return static_cast<size_t>(digest * 0x9e3779b97f4a7c15) & (slots_.size() - 1); }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

// Bytes [new_offset, new_offset + length) of the result may equal the old file's from old_offset.
struct CopyRun {
  uint64_t new_offset = 0;
  uint64_t length = 0;
  uint64_t old_offset = 0;
  friend bool operator==(const CopyRun&, const CopyRun&) = default;
};

class CopyPlan {
 public:
  // The chunks of the source's file from `offset` on; in any order of ranges.
  void Add(std::span<const Chunk> chunks, uint64_t offset, const ChunkIndex& index);
  // A run that is known otherwise.
  void AddRun(const CopyRun& run) { runs_.push_back(run); }
  // Sorts, drops what lies double (lists overlap), joins neighbours. Once, before the calls below.
  void Finish();
  // The runs that touch [offset, offset + length), cut to it.
  std::vector<CopyRun> Within(uint64_t offset, uint64_t length) const;
  uint64_t matched_bytes() const { return matched_; }
  const std::vector<CopyRun>& runs() const { return runs_; }

 private:
  std::vector<CopyRun> runs_;
  uint64_t matched_ = 0;
};

}  // namespace uringsync
