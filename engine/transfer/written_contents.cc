#include "engine/transfer/written_contents.h"

#include <algorithm>
#include <utility>

namespace uringsync {

void WrittenContents::Add(uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const Digest128 digest = Xxh128(bytes);
  std::lock_guard lock(mutex_);
  Put(offset, {bytes.size(), digest});
}

void WrittenContents::Trust(uint64_t size_bytes) {
  std::lock_guard lock(mutex_);
  if (size_bytes > 0) Put(0, {size_bytes, std::nullopt});
}

void WrittenContents::Clear() {
  std::lock_guard lock(mutex_);
  pieces_.clear();
}

// What is left of a piece that was written over in part has no digest any more.
void WrittenContents::Put(uint64_t offset, Piece piece) {
  const uint64_t end = offset + piece.length;
  auto next = pieces_.upper_bound(offset);
  if (next != pieces_.begin()) {
    auto before = std::prev(next);
    const uint64_t before_end = before->first + before->second.length;
    if (before->first < offset && before_end > offset) {
      before->second = {offset - before->first, std::nullopt};
      if (before_end > end) pieces_.emplace(end, Piece{before_end - end, std::nullopt});
    }
  }
  for (next = pieces_.lower_bound(offset); next != pieces_.end() && next->first < end; next = pieces_.erase(next)) {
    const uint64_t next_end = next->first + next->second.length;
    if (next_end > end) pieces_.emplace(end, Piece{next_end - end, std::nullopt});
  }
  pieces_.insert_or_assign(offset, piece);
}

std::vector<WrittenRange> WrittenContents::Ranges(uint64_t size_bytes) const {
  std::lock_guard lock(mutex_);
  std::vector<WrittenRange> ranges;
  uint64_t at = 0;
  for (const auto& [offset, piece] : pieces_) {
    if (offset >= size_bytes) break;
    if (offset > at) ranges.push_back({WrittenRange::Kind::kZeros, at, offset - at, {}});
    at = std::min(size_bytes, offset + piece.length);
    // Cut off since: what is left of it has no digest.
    const bool whole = at == offset + piece.length && piece.digest.has_value();
    ranges.push_back({whole ? WrittenRange::Kind::kData : WrittenRange::Kind::kUnknown, offset, at - offset,
                      piece.digest.value_or(Digest128())});
  }
  if (at < size_bytes) ranges.push_back({WrittenRange::Kind::kZeros, at, size_bytes - at, {}});
  return ranges;
}

}  // namespace uringsync
