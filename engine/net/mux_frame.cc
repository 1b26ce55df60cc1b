#include "engine/net/mux_frame.h"

#include <unistd.h>

#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr size_t kShownBytes = 64;

void PutU32(uint32_t value, std::byte* out) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<std::byte>(value >> (8 * i));
}

uint32_t GetU32(const std::byte* in) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= static_cast<uint32_t>(in[i]) << (8 * i);
  return value;
}

absl::Status Bad(const std::string& what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "a frame of the shell's channel " + what);
}

bool LengthFits(const MuxFrame& frame) {
  switch (frame.type) {
    case MuxFrameType::kData: return frame.length >= 1 && frame.length <= kMaxMuxDataBytes;
    case MuxFrameType::kCredit: return frame.length == sizeof(uint32_t);
    default: return frame.length == 0;
  }
}

}  // namespace

std::array<std::byte, kMuxFrameBytes> EncodeMuxFrame(const MuxFrame& frame) {
  std::array<std::byte, kMuxFrameBytes> out{};
  out[0] = static_cast<std::byte>(frame.type);
  if (frame.type == MuxFrameType::kOpen) out[1] = static_cast<std::byte>(frame.kind);
  PutU32(frame.stream, &out[4]);
  PutU32(frame.length, &out[8]);
  return out;
}

absl::StatusOr<MuxFrame> ParseMuxFrame(std::span<const std::byte, kMuxFrameBytes> bytes) {
  const auto type = static_cast<uint8_t>(bytes[0]);
  const auto kind = static_cast<uint8_t>(bytes[1]);
  if (type < static_cast<uint8_t>(MuxFrameType::kOpen) || type > static_cast<uint8_t>(MuxFrameType::kBye)) {
    return Bad("has the unknown type " + std::to_string(type));
  }
  MuxFrame frame{.type = static_cast<MuxFrameType>(type), .stream = GetU32(&bytes[4]), .length = GetU32(&bytes[8])};
  const bool opens = frame.type == MuxFrameType::kOpen;
  if (opens ? kind != 1 && kind != 2 : kind != 0) return Bad("has the unknown kind " + std::to_string(kind));
  if (opens) frame.kind = static_cast<MuxKind>(kind);
  if (bytes[2] != std::byte{0} || bytes[3] != std::byte{0}) return Bad("has bits that mean nothing");
  const bool of_stream = frame.type < MuxFrameType::kPing;
  if (of_stream != (frame.stream != 0)) return Bad("names stream " + std::to_string(frame.stream));
  if (!LengthFits(frame)) return Bad("has " + std::to_string(frame.length) + " bytes");
  return frame;
}

std::array<std::byte, 4> EncodeMuxCredit(uint32_t bytes) {
  std::array<std::byte, 4> out;
  PutU32(bytes, out.data());
  return out;
}

uint32_t ParseMuxCredit(std::span<const std::byte, 4> bytes) {
  return GetU32(bytes.data());
}

absl::Status CheckMuxGreeting(std::string_view first, std::string_view peer) {
  if (first.substr(0, kMuxGreeting.size()) == kMuxGreeting) return absl::OkStatus();
  const size_t slash = kMuxGreeting.find('/') + 1;
  if (first.substr(0, slash) == kMuxGreeting.substr(0, slash)) {
    const std::string_view theirs = first.substr(slash, first.find('\n', slash) - slash);
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      std::string(peer) + " speaks version " + EscapeName(theirs) +
                          " of the shell's channel, this program version " +
                          std::string(kMuxGreeting.substr(slash, 1)) + "; update the older one");
  }
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    "protocol version mismatch -- is your shell clean? " + std::string(peer) + " began with \"" +
                        EscapeName(first.substr(0, kShownBytes)) +
                        "\"; a shell that is started without a terminal must print nothing (look into its .bashrc, "
                        ".profile, .cshrc)");
}

bool WriteMuxGreeting(int fd) {
  std::string_view rest = kMuxGreeting;
  while (!rest.empty()) {
    const ssize_t n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    rest.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace uringsync
