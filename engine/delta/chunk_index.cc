#include "engine/delta/chunk_index.h"

#include <algorithm>

namespace uringsync {
namespace {

constexpr size_t kFirstSlots = 1024;
constexpr uint64_t kLengthBits = 20;
constexpr uint64_t kLengthMask = (uint64_t{1} << kLengthBits) - 1;
static_assert(uint64_t{kMaxAverageChunk} * 4 <= kLengthMask, "the longest chunk fits into an entry");

}  // namespace

void ChunkIndex::Grow() {
  std::vector<Slot> old = std::move(slots_);
  slots_.assign(old.empty() ? kFirstSlots : old.size() * 2, Slot{});
  for (const Slot& slot : old) {
    if (slot.place == 0) continue;
    size_t at = Start(slot.digest);
    while (slots_[at].place != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = slot;
  }
}

bool ChunkIndex::Add(const Chunk& chunk, uint64_t offset) {
  if (offset >= kMaxIndexedFile || chunk.length == 0 || chunk.length > kLengthMask) return false;
  if (Find(chunk).has_value()) return true;
  if (used_ == kMaxIndexedChunks) return false;
  if ((used_ + 1) * 4 > slots_.size() * 3) Grow();
  size_t at = Start(chunk.digest);
  while (slots_[at].place != 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {chunk.digest, offset << kLengthBits | chunk.length};
  ++used_;
  return true;
}

std::optional<uint64_t> ChunkIndex::Find(const Chunk& chunk) const {
  if (slots_.empty()) return std::nullopt;
  for (size_t at = Start(chunk.digest); slots_[at].place != 0; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.digest == chunk.digest && (slot.place & kLengthMask) == chunk.length) return slot.place >> kLengthBits;
  }
  return std::nullopt;
}

void CopyPlan::Add(std::span<const Chunk> chunks, uint64_t offset, const ChunkIndex& index) {
  for (const Chunk& chunk : chunks) {
    const std::optional<uint64_t> found = index.Find(chunk);
    if (found.has_value()) {
      const bool follows = !runs_.empty() && runs_.back().new_offset + runs_.back().length == offset &&
                           runs_.back().old_offset + runs_.back().length == *found;
      if (follows) {
        runs_.back().length += chunk.length;
      } else {
        runs_.push_back({offset, chunk.length, *found});
      }
    }
    offset += chunk.length;
  }
}

void CopyPlan::Finish() {
  std::sort(runs_.begin(), runs_.end(), [](const CopyRun& a, const CopyRun& b) { return a.new_offset < b.new_offset; });
  std::vector<CopyRun> kept;
  uint64_t covered = 0;
  for (CopyRun run : runs_) {
    if (run.new_offset + run.length <= covered) continue;
    if (run.new_offset < covered) {
      const uint64_t cut = covered - run.new_offset;
      run = {covered, run.length - cut, run.old_offset + cut};
    }
    covered = run.new_offset + run.length;
    matched_ += run.length;
    const bool follows = !kept.empty() && kept.back().new_offset + kept.back().length == run.new_offset &&
                         kept.back().old_offset + kept.back().length == run.old_offset;
    if (follows) {
      kept.back().length += run.length;
    } else {
      kept.push_back(run);
    }
  }
  runs_ = std::move(kept);
}

std::vector<CopyRun> CopyPlan::Within(uint64_t offset, uint64_t length) const {
  std::vector<CopyRun> found;
  auto run = std::upper_bound(runs_.begin(), runs_.end(), offset,
                              [](uint64_t at, const CopyRun& candidate) { return at < candidate.new_offset; });
  if (run != runs_.begin()) --run;
  for (; run != runs_.end() && run->new_offset < offset + length; ++run) {
    const uint64_t begin = std::max(run->new_offset, offset);
    const uint64_t end = std::min(run->new_offset + run->length, offset + length);
    if (begin >= end) continue;
    found.push_back({begin, end - begin, run->old_offset + (begin - run->new_offset)});
  }
  return found;
}

}  // namespace uringsync
