#include "engine/delta/decision.h"

#include <algorithm>

namespace uringsync {
namespace {

constexpr size_t kInPlaceShare = 4;     // at least a quarter of the samples
constexpr size_t kShiftedQuarters = 3;  // of the samples, found in either place
constexpr uint64_t kChunkShare = 10;    // at least a tenth of the bytes

}  // namespace

bool MayUseDelta(DeltaPolicy policy, uint64_t new_bytes, uint64_t old_bytes) {
  if (policy == DeltaPolicy::kOff) return false;
  const uint64_t least = policy == DeltaPolicy::kForce ? kMinForcedDeltaBytes : kMinDeltaBytes;
  return new_bytes > least && old_bytes > least;
}

std::vector<uint64_t> SampleOffsets(uint64_t size_bytes, uint64_t block_bytes) {
  std::vector<uint64_t> offsets;
  const uint64_t blocks = size_bytes / block_bytes;
  const uint64_t count = std::min<uint64_t>(blocks, kMaxSamples);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t block =
        count == 1 ? 0 : (blocks - 1) / (count - 1) * i + (blocks - 1) % (count - 1) * i / (count - 1);
    offsets.push_back(block * block_bytes);
  }
  return offsets;
}

DeltaMode ChooseMode(const DeltaSamples& samples) {
  if (samples.samples == 0) return DeltaMode::kTryChunks;
  // One block that lies shifted says that content moved; only chunks find it again, unless it moved in one piece.
  if (samples.shifted_only > 0) {
    const bool one_piece =
        samples.in_order && (samples.same + samples.shifted_only) * 4 >= samples.samples * kShiftedQuarters;
    return one_piece ? DeltaMode::kShifted : DeltaMode::kChunks;
  }
  if (samples.same * kInPlaceShare >= samples.samples) return DeltaMode::kInPlace;
  return DeltaMode::kTryChunks;
}

bool EnoughMatches(uint64_t matched_bytes, uint64_t looked_at) {
  return matched_bytes > 0 && matched_bytes >= looked_at / kChunkShare;
}

bool DeltaPays(const DeltaCost& cost) {
  if (cost.fetch_rate <= 0) return false;
  const double delta_rate = cost.delta_rate > 0 ? cost.delta_rate : kAssumedDeltaRate;
  const double whole_seconds = 1 / cost.fetch_rate;
  const double delta_seconds = 1 / delta_rate + (1 - std::clamp(cost.matched_share, 0.0, 1.0)) / cost.fetch_rate;
  return delta_seconds < kDeltaAdvantage * whole_seconds;
}

}  // namespace uringsync
