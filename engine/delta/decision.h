// Whether a changed file is worth a delta, and which kind of it: pure, so that every choice can be tested.
//
// Thread rule: functions and values; any thread.
// Use:  DeltaMode mode = ChooseMode(samples, limits);
//       if (policy == DeltaPolicy::kForce || DeltaPays(cost)) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace uringsync {

enum class DeltaPolicy : uint8_t {
  kAuto = 1,  // where it is expected to be faster than sending the file
  kOff,       // -W: never
  kForce      // --no-whole-file: wherever something of the old file can be reused
};

// Files up to this size arrive with one request and one answer; a delta would add a round trip and both sides' reading
// to save less than a piece. --no-whole-file goes lower: below that a signature costs about what the blocks would.
constexpr uint64_t kMinDeltaBytes = uint64_t{1} << 20;
constexpr uint64_t kMinForcedDeltaBytes = 32 << 10;

bool MayUseDelta(DeltaPolicy policy, uint64_t new_bytes, uint64_t old_bytes);

enum class DeltaMode : uint8_t {
  kWhole = 1,  // send it
  kInPlace,    // the same offsets
  kShifted,   // one insertion or deletion: the same offsets before it, shifted by the difference of the sizes behind it
  kChunks,    // content moved: content-defined chunks
  kTryChunks  // nothing was found at the sampled places: look at one window of chunks first
};

// A few blocks of the source's file were compared with the old file: at the same offset, and shifted by the difference
// of the sizes (where everything behind one insertion or deletion lies).
struct DeltaSamples {
  size_t samples = 0;
  size_t same = 0;          // equal at the same offset
  size_t shifted_only = 0;  // not there, but equal when shifted
  bool in_order = false;    // no block of the first kind lies behind one of the second
};
// Offsets to sample in a file of this size, ascending, `block_bytes` each; spread evenly, first and last block
// included.
std::vector<uint64_t> SampleOffsets(uint64_t size_bytes, uint64_t block_bytes);
constexpr size_t kMaxSamples = 16;
constexpr uint32_t kSampleBlockBytes = 16 << 10;

DeltaMode ChooseMode(const DeltaSamples& samples);
// Whether so many of `looked_at` bytes are worth going on for with chunks.
bool EnoughMatches(uint64_t matched_bytes, uint64_t looked_at);

// Bytes a second of the whole session; 0: not measured yet.
struct DeltaCost {
  double fetch_rate = 0;     // contents over the data connections while they were busy
  double delta_rate = 0;     // of the file through a delta that matches throughout
  double matched_share = 1;  // expected, 0 to 1
};
// What a delta is taken to do before one was measured.
constexpr double kAssumedDeltaRate = 500e6;
// A delta costs both sides CPU that others may want: it has to win by a fifth.
constexpr double kDeltaAdvantage = 0.8;
bool DeltaPays(const DeltaCost& cost);

}  // namespace uringsync
