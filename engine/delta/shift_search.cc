#include "engine/delta/shift_search.h"

#include <algorithm>

namespace uringsync {
namespace {

// Offsets between two borders, evenly spread; the blocks there end before `end`.
void Spread(uint64_t begin, uint64_t end, uint64_t count, uint64_t grain_bytes, std::vector<uint64_t>* offsets) {
  if (end <= begin || end - begin <= grain_bytes) return;
  const uint64_t step = std::max((end - begin) / (count + 1), grain_bytes / 2);
  for (uint64_t at = begin + step; at + kSampleBlockBytes < end; at += step) offsets->push_back(at);
}

}  // namespace

void ShiftSearch::Note(uint64_t offset, bool same, bool shifted) {
  if (same && offset < same_limit_) same_end_ = std::max(same_end_, offset + kSampleBlockBytes);
  if (!same && offset >= same_end_) same_limit_ = std::min(same_limit_, offset);
  if (shifted && offset >= shifted_limit_) shifted_begin_ = std::min(shifted_begin_, offset);
  if (!shifted && offset < shifted_begin_) shifted_limit_ = std::max(shifted_limit_, offset);
}

std::vector<uint64_t> ShiftSearch::Probes(uint64_t count, uint64_t grain_bytes) const {
  std::vector<uint64_t> offsets;
  Spread(same_end_, std::min(same_limit_, size_), count, grain_bytes, &offsets);
  Spread(shifted_limit_, shifted_begin_, count, grain_bytes, &offsets);
  return offsets;
}

}  // namespace uringsync
