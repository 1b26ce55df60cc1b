// CompressionPolicy: whether and how hard the payloads of a session are compressed. IncompressibleFiles: which files
// are not worth another look for a while.
//
// A fixed level is used as it is. Adaptive starts plain and climbs a ladder of levels by trial: while the connections'
// senders mostly wait for the link, and the time that compression takes promises to be less than the time it saves, the
// next step is tried for an interval; it stays only where more raw bytes a second went through than before. What did
// not pay is tried again later and later. Where compression itself holds the senders up, it climbs down the same way.
// So on a link that is faster than compression (loopback, a good network) it stays plain, and a policy that misjudges
// costs one interval, not the run. The idea is that of zstd's own --adapt; what is new here is that raw throughput
// decides.
//
// Thread rule: no locks of its own: whoever shares one between threads locks (reply_compressor.h does). Pure: time
// comes from the caller. Use:  std::optional<int> level = policy.level();   // nullopt: plain
//       policy.OnSample(ratio, cost_per_byte);  ...  policy.OnSent({.raw_bytes = ..., ...}, now);
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/base/entry.h"
#include "engine/transfer/compressor.h"

namespace uringsync {

enum class CompressionMode : uint8_t { kOff = 0, kAdaptive, kFixed };

struct CompressionSettings {
  CompressionMode mode = CompressionMode::kOff;
  int level = kDefaultCompressLevel;  // kFixed only
  friend bool operator==(const CompressionSettings&, const CompressionSettings&) = default;
};

// How one message went through one connection's sender.
struct SentMessage {
  uint64_t raw_bytes = 0;                // of its payload
  uint64_t wire_bytes = 0;               // of the payload as sent
  std::chrono::nanoseconds idle{0};      // there was nothing to send
  std::chrono::nanoseconds compress{0};  // samples included
  std::chrono::nanoseconds send{0};      // the channel took it
};

class CompressionPolicy {
 public:
  using Time = std::chrono::nanoseconds;  // since any moment, steady
  // The first look comes early, so that a slow link is seen before much went plain.
  static constexpr Time kFirstInterval = std::chrono::milliseconds(20);
  static constexpr Time kInterval = std::chrono::milliseconds(100);
  static constexpr uint64_t kIntervalBytes = 512 << 10;
  // A step that did not pay is tried again after this, twice as long each time.
  static constexpr Time kFirstHold = std::chrono::seconds(1);
  static constexpr Time kLongestHold = std::chrono::seconds(16);

  // `shards`: how many threads compress for the session.
  CompressionPolicy(CompressionSettings settings, size_t shards);

  std::optional<int> level() const;
  // Adaptive, and plain at present: a sample of a payload helps it decide.
  bool wants_sample() const { return settings_.mode == CompressionMode::kAdaptive && step_ == 0; }
  // `ratio` as Compressor::SampleRatio, `cost` the time that a byte of it took.
  void OnSample(double ratio, double nanoseconds_per_byte);
  void OnSent(const SentMessage& message, Time now);

 private:
  struct Interval {
    Time begin{0};
    uint64_t raw_bytes = 0;
    uint64_t wire_bytes = 0;
    double idle = 0;  // nanoseconds, summed over the connections
    double compress = 0;
    double send = 0;
  };
  static constexpr std::array<int, 6> kLevels = {-3, 1, 3, 5, 7, 9};

  void Judge(Time now);
  bool PromisesGain(double elapsed) const;
  void Try(size_t step);
  void EndTrial(double goodput, Time now);

  const CompressionSettings settings_;
  const double shards_;
  size_t step_ = 0;  // 0: plain, else 1 + index into kLevels
  bool started_ = false;
  Interval interval_;
  Time length_ = kFirstInterval;
  // A trial: the step before it, and what went through then.
  std::optional<size_t> tried_from_;
  double goodput_before_ = 0;
  Time hold_ = kFirstHold;
  Time held_until_{0};
  double sample_ratio_ = 1;
  double sample_cost_ = 0;
};

// Remembers files whose contents did not get smaller. Bounded; a hint.
class IncompressibleFiles {
 public:
  static constexpr size_t kRemembered = 64;
  static constexpr uint64_t kFirstSkipBytes = uint64_t{4} << 20;
  static constexpr uint64_t kMostSkipBytes = uint64_t{256} << 20;

  // False: `bytes` of `file` go plain without a look; they count towards the next try.
  bool WorthTrying(const FileId& file, uint64_t bytes);
  // How a try ended. What failed is left alone for twice as many bytes as the last time.
  void OnTried(const FileId& file, bool smaller);

 private:
  struct Remembered {
    FileId file;
    uint64_t skip_left = 0;
    uint64_t next_skip = kFirstSkipBytes;
  };
  Remembered* Find(const FileId& file);

  std::array<Remembered, kRemembered> files_{};
  size_t used_ = 0;
  size_t oldest_ = 0;
};

}  // namespace uringsync
