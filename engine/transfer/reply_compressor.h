// SharedCompression: the compression of a session, decided in one place for all its connections. ReplyCompressor: one
// connection's end of it: looks at each message before it is sent, compresses it where that pays, and tells how it
// went.
//
// Thread rule: SharedCompression any thread (it locks, some times a message); ReplyCompressor one shard, one message at
// a time.
// Use:  ReplyCompressor compressor(&shared);
//       co_await compressor.Prepare(&message, file);  ...  compressor.Sent(send_time);
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "engine/base/entry.h"
#include "engine/coro/task.h"
#include "engine/transfer/compression_policy.h"
#include "engine/transfer/compressor.h"
#include "engine/transfer/data_channel.h"

namespace uringsync {

class SharedCompression {
 public:
  SharedCompression(CompressionSettings settings, size_t shards) : policy_(settings, shards) {}

  std::optional<int> level() const {
    std::lock_guard lock(mutex_);
    return policy_.level();
  }
  bool wants_sample() const {
    std::lock_guard lock(mutex_);
    return policy_.wants_sample();
  }
  void OnSample(double ratio, double nanoseconds_per_byte) {
    std::lock_guard lock(mutex_);
    policy_.OnSample(ratio, nanoseconds_per_byte);
  }
  void OnSent(const SentMessage& message, std::chrono::nanoseconds now) {
    std::lock_guard lock(mutex_);
    policy_.OnSent(message, now);
  }

 private:
  mutable std::mutex mutex_;
  CompressionPolicy policy_;
};

class ReplyCompressor {
 public:
  // A smaller payload goes plain.
  static constexpr size_t kLeastBytes = 256;
  // From here on a sample decides whether a payload is worth a try at all.
  static constexpr size_t kSampledBytes = 32 << 10;
  // While a session is plain, one payload in so many bytes is sampled.
  static constexpr uint64_t kSampleEveryBytes = 512 << 10;
  // Share that a sample must lose.
  static constexpr double kHopeless = 0.93;
  // Attributes of a message beyond this could make it more than one frame, which a compressed one may not be.
  static constexpr size_t kMostXattrBytes = 64 << 10;

  // Borrows `shared`; null: every message goes plain.
  explicit ReplyCompressor(SharedCompression* shared) : shared_(shared) {}

  // Compresses the contents of `*message` in place, or leaves it alone. `file`: whose bytes the tail holds, where it
  // has one.
  Task<void> Prepare(ReplyMessage* message, FileId file);
  // The channel has taken the message that was prepared last; `send` is how long that took, waits for a rate limit
  // included.
  void Sent(std::chrono::nanoseconds send);

 private:
  // Whether to try; may sample.
  bool WorthTrying(const ReplyMessage& message, FileId file);
  double Sample(std::span<const std::byte> raw, double* nanoseconds_per_byte);

  SharedCompression* const shared_;
  Compressor compressor_;
  IncompressibleFiles incompressible_;
  uint64_t unsampled_bytes_ = kSampleEveryBytes;
  std::chrono::nanoseconds last_sent_{0};
  SentMessage current_;
};

}  // namespace uringsync
