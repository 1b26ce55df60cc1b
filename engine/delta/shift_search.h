// ShiftSearch: finds the one place where something was inserted or deleted, from blocks that lie as before and blocks
// that lie shifted by the difference of the sizes.
//
// It narrows two borders at once: where the part at the same offsets ends, and where the shifted part begins. What it
// is told may contradict itself; then the borders are somewhere, and what they promise is found wrong by the leaves'
// tags.
//
// Thread rule: one thread.
// Use:  ShiftSearch search(size_bytes);
//       do { for (...) search.Note(offset, same, shifted); } while (!(probes = search.Probes(8, 64 << 10)).empty());
#pragma once

#include <cstdint>
#include <vector>

#include "engine/delta/decision.h"

namespace uringsync {

class ShiftSearch {
 public:
  explicit ShiftSearch(uint64_t size_bytes) : size_(size_bytes), same_limit_(size_bytes), shifted_begin_(size_bytes) {}

  // The block of kSampleBlockBytes at `offset` of the new file: whether the old file has it at the same offset, or
  // shifted.
  void Note(uint64_t offset, bool same, bool shifted);
  // Offsets of blocks to look at next, about `count` for each border; none when both are known to within `grain_bytes`.
  std::vector<uint64_t> Probes(uint64_t count, uint64_t grain_bytes) const;

  // [0, same_end) lies as before, [shifted_begin, size) shifted, as far as is known.
  uint64_t same_end() const { return same_end_ < shifted_begin_ ? same_end_ : shifted_begin_; }
  uint64_t shifted_begin() const { return shifted_begin_; }

 private:
  const uint64_t size_;
  uint64_t same_end_ = 0;
  uint64_t same_limit_;         // a block that begins here is not the same, or the end of the file
  uint64_t shifted_limit_ = 0;  // a block that begins here is not shifted, or the beginning
  uint64_t shifted_begin_;
};

}  // namespace uringsync
