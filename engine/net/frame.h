// Frames: how messages lie in a stream of bytes (docs/protocol.md, "Data plane").
//
//   frame = magic:u16 version:u8 type:u8 header_length:u32 payload_length:u32 header payload     (integers
//   little-endian)
//
// What types mean and what a header holds is the business of the room above. Lengths are checked against the limits
// before anything is allocated. Thread rule: as the stream's.
//
// Use:  FrameReader reader(stream, limits);   US_CO_ASSIGN_OR_RETURN(Frame frame, co_await reader.Read(idle, started));
//       US_CO_RETURN_IF_ERROR(co_await WriteFrame(stream, type, header, payload, timeout));
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/payload.h"
#include "engine/net/stream.h"

namespace uringsync {

constexpr uint16_t kFrameMagic = 0x5355;  // bytes 'U' 'S'
constexpr uint8_t kFrameVersion = 1;
constexpr size_t kFramePrefixBytes = 12;
constexpr uint32_t kMaxFrameHeaderBytes = 2u << 20;
constexpr uint32_t kMaxFramePayloadBytes = 2u << 20;

struct FrameLimits {
  uint32_t max_header_bytes = kMaxFrameHeaderBytes;
  uint32_t max_payload_bytes = kMaxFramePayloadBytes;
};

struct FramePrefix {
  uint8_t type = 0;
  uint32_t header_length = 0;   // bytes
  uint32_t payload_length = 0;  // bytes
};

struct Frame {
  uint8_t type = 0;
  std::vector<std::byte> header;
  Payload payload;
};

std::array<std::byte, kFramePrefixBytes> EncodeFramePrefix(const FramePrefix& prefix);
// InvalidArgument names the bound or the field that is wrong; `bytes` is exactly a prefix. Pure: the fuzz target's
// entry.
absl::StatusOr<FramePrefix> ParseFramePrefix(std::span<const std::byte, kFramePrefixBytes> bytes,
                                             const FrameLimits& limits);

class FrameReader {
 public:
  // Borrows `stream`.
  FrameReader(Stream* stream, FrameLimits limits);
  void set_limits(FrameLimits limits) { limits_ = limits; }

  // Next frame. Waits `idle` for its first byte and `started` for the rest of it. OutOfRange when the stream ended
  // orderly between two frames; InvalidArgument for what is no frame within the limits (close the stream then); else as
  // Stream.
  Task<absl::StatusOr<Frame>> Read(Timeout idle, Timeout started);

 private:
  Task<absl::Status> Fill(size_t wanted, Timeout idle, Deadline* deadline);
  Task<absl::Status> Take(std::span<std::byte> into, Deadline deadline);

  Stream* const stream_;
  FrameLimits limits_;
  std::unique_ptr<std::byte[]> buffer_;  // small frames arrive several at a time
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Writes one frame. InvalidArgument, with nothing written, where a part is beyond the largest limits. `payload_rest`
// follows `payload` and is part of the payload as well.
Task<absl::Status> WriteFrame(Stream* stream, uint8_t type, ConstBytes header, ConstBytes payload, Timeout timeout,
                              ConstBytes payload_rest = {});

}  // namespace uringsync
