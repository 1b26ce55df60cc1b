// Compressor, Decompressor: zstd for payloads of reply messages, one frame a payload.
//
// A payload is compressed whole: the small files of one message share their redundancy, a piece of a large file stands
// for itself. What a peer sent is never trusted: the raw length is told beside the frame and checked against the bounds
// below before anything is allocated, and the frame must agree with it. What the bytes mean is judged by their XXH3
// digest afterwards, as for plain ones.
//
// Thread rule: an object belongs to one connection, on its shard, and does one thing at a time. The contexts inside are
// made at the first use and kept.
// Use:  US_CO_ASSIGN_OR_RETURN(bool smaller, co_await compressor.Compress(payload, 3, &wire));
//       US_RETURN_IF_ERROR(decompressor.Decompress(wire, raw_length, &payload));
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/coro/task.h"
#include "engine/net/payload.h"

namespace uringsync {

// Raw bytes of one compressed payload, at most; also the largest window that a frame may ask for.
constexpr size_t kMaxRawPayloadBytes = size_t{2} << 20;
// Levels that may be asked for; 0 stands for the default. Higher ones of zstd gain nothing on payloads of a megabyte.
constexpr int kMinCompressLevel = -7;
constexpr int kMaxCompressLevel = 19;
constexpr int kDefaultCompressLevel = 3;
// Four bytes of zstd are the least that can stand for a block of 128 KiB: a frame that claims more is no frame.
constexpr uint64_t kMaxCompressionRatio = (uint64_t{128} << 10) / 4;
// A payload that loses less than one part in this many goes plain: the receiver's work would not be paid for.
constexpr size_t kMinGainDivisor = 32;

// Whether `raw_length` bytes may come out of a frame of `wire_length`. Pure; before anything is allocated.
absl::Status CheckCompressedLengths(uint64_t wire_length, uint64_t raw_length);

class Compressor {
 public:
  // What SampleRatio looks at, at most.
  static constexpr size_t kSampledBytes = size_t{16} << 10;

  Compressor();
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // Compresses `raw` (at most kMaxRawPayloadBytes) at `level` into `*wire`; both live until the task ends. False: it
  // gains too little, send it plain; `*wire` is of no use then. Internal or ResourceExhausted when zstd fails; plain is
  // right then too. Slow levels let others run in between.
  Task<absl::StatusOr<bool>> Compress(std::span<const std::byte> raw, int level, Payload* wire);
  // Share of their size that a few samples of `raw` are left with after compression at the quickest level, 0 to 1 and a
  // little above. Costs some microseconds a 64 KiB. 1 when zstd fails.
  double SampleRatio(std::span<const std::byte> raw);

 private:
  struct State;
  Task<absl::StatusOr<bool>> CompressInSlices(std::span<const std::byte> raw, Payload* wire);
  std::unique_ptr<State> state_;
};

class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // Puts exactly `raw_length` bytes into `*raw`. InvalidArgument for anything else than one whole zstd frame of that
  // content, without a dictionary and with a window of at most kMaxRawPayloadBytes; nothing is allocated for a frame
  // whose lengths cannot be true.
  absl::Status Decompress(std::span<const std::byte> wire, uint64_t raw_length, Payload* raw);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace uringsync
