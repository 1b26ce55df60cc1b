// Frames of the multiplexed byte pipe, and the line with which both ends greet (docs/protocol-shell.md).
//
//   frame = type:u8 kind:u8 zero:u16 stream:u32 length:u32 body     (integers little-endian; body is `length` bytes)
//
// Thread rule: values and pure functions; they are what the fuzz target enters by.
// Use:  US_ASSIGN_OR_RETURN(const MuxFrame frame, ParseMuxFrame(bytes));
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace uringsync {

constexpr size_t kMuxFrameBytes = 12;
// Body of one kData frame: what everything else waits for at the most.
constexpr uint32_t kMaxMuxDataBytes = 128 << 10;

enum class MuxFrameType : uint8_t {
  kOpen = 1,  // a new stream of `kind`; no body
  kData,      // body: 1 to kMaxMuxDataBytes bytes of the stream, within the credit
  kCredit,    // body: bytes:u32 that may be sent beyond what was granted before
  kEnd,       // the sender sends nothing more on the stream; no body
  kReset,     // the sender neither sends nor takes anything more; no body
  kPing,      // stream 0; no body; answered by kPong
  kPong,      // stream 0; no body
  kBye        // stream 0; no body; the last frame
};

// What a stream carries. The credit that both ends begin with goes with it.
enum class MuxKind : uint8_t { kControl = 1, kData = 2 };
constexpr uint32_t MuxWindow(MuxKind kind) {
  return kind == MuxKind::kControl ? 256 << 10 : 2 << 20;
}

struct MuxFrame {
  MuxFrameType type = MuxFrameType::kPing;
  MuxKind kind = MuxKind::kControl;  // kOpen only; on the wire 0 in all others
  uint32_t stream = 0;
  uint32_t length = 0;  // of the body
};

std::array<std::byte, kMuxFrameBytes> EncodeMuxFrame(const MuxFrame& frame);
// InvalidArgument names what is wrong: an unknown type or kind, a length that the type does not have, a stream where
// none belongs or none where one does.
absl::StatusOr<MuxFrame> ParseMuxFrame(std::span<const std::byte, kMuxFrameBytes> bytes);
std::array<std::byte, 4> EncodeMuxCredit(uint32_t bytes);
uint32_t ParseMuxCredit(std::span<const std::byte, 4> bytes);

// The first bytes each way. A number follows the slash; another one is another protocol.
constexpr std::string_view kMuxGreeting = "uringsync-mux/1\n";
// OK when `first`, the first bytes that came from `peer`, are the greeting. FailedPrecondition otherwise: another
// version, or a shell that prints something of its own, shown escaped, with what to do.
absl::Status CheckMuxGreeting(std::string_view first, std::string_view peer);
// Writes the greeting to a blocking descriptor. False: the other end is gone.
bool WriteMuxGreeting(int fd);

}  // namespace uringsync
