#include "engine/net/frame.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "engine/base/errno_status.h"

namespace uringsync {

namespace {

// Reads ahead this much, so that small frames cost one receive together; larger parts go straight to their place. No
// more: what of a large part was read ahead is copied.
constexpr size_t kReadAheadBytes = size_t{16} << 10;

absl::Status Invalid(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, text);
}

template <typename T>
void StoreLittleEndian(T value, std::byte* into) {
  for (size_t i = 0; i < sizeof(T); ++i) into[i] = static_cast<std::byte>(value >> (8 * i));
}

template <typename T>
T LoadLittleEndian(const std::byte* from) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | (static_cast<T>(from[i]) << (8 * i)));
  return value;
}

}  // namespace

std::array<std::byte, kFramePrefixBytes> EncodeFramePrefix(const FramePrefix& prefix) {
  std::array<std::byte, kFramePrefixBytes> bytes{};
  StoreLittleEndian<uint16_t>(kFrameMagic, bytes.data());
  bytes[2] = static_cast<std::byte>(kFrameVersion);
  bytes[3] = static_cast<std::byte>(prefix.type);
  StoreLittleEndian<uint32_t>(prefix.header_length, bytes.data() + 4);
  StoreLittleEndian<uint32_t>(prefix.payload_length, bytes.data() + 8);
  return bytes;
}

absl::StatusOr<FramePrefix> ParseFramePrefix(std::span<const std::byte, kFramePrefixBytes> bytes,
                                             const FrameLimits& limits) {
  if (LoadLittleEndian<uint16_t>(bytes.data()) != kFrameMagic) {
    return Invalid("the peer does not speak the data protocol (wrong frame magic)");
  }
  const auto version = static_cast<uint8_t>(bytes[2]);
  if (version != kFrameVersion) {
    return Invalid("frame version " + std::to_string(version) + " is not " + std::to_string(kFrameVersion));
  }
  FramePrefix prefix;
  prefix.type = static_cast<uint8_t>(bytes[3]);
  prefix.header_length = LoadLittleEndian<uint32_t>(bytes.data() + 4);
  prefix.payload_length = LoadLittleEndian<uint32_t>(bytes.data() + 8);
  if (prefix.header_length > limits.max_header_bytes) {
    return Invalid("frame header of " + std::to_string(prefix.header_length) + " bytes is beyond the limit of " +
                   std::to_string(limits.max_header_bytes));
  }
  if (prefix.payload_length > limits.max_payload_bytes) {
    return Invalid("frame payload of " + std::to_string(prefix.payload_length) + " bytes is beyond the limit of " +
                   std::to_string(limits.max_payload_bytes));
  }
  return prefix;
}

FrameReader::FrameReader(Stream* stream, FrameLimits limits)
    : stream_(stream), limits_(limits), buffer_(new std::byte[kReadAheadBytes]) {}

// Makes at least `wanted` bytes lie in the buffer. The first byte may take `idle`, what follows has the deadline that
// starts with it.
Task<absl::Status> FrameReader::Fill(size_t wanted, Timeout idle, Deadline* deadline) {
  while (end_ - begin_ < wanted) {
    if (begin_ > 0) {
      std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
      end_ -= std::exchange(begin_, 0);
    }
    const bool first = end_ == 0;
    const Timeout limit = first ? idle : deadline->remaining();
    absl::StatusOr<size_t> n = co_await stream_->Read({buffer_.get() + end_, kReadAheadBytes - end_}, limit);
    if (!n.ok()) co_return n.status();
    if (*n == 0 && first) co_return absl::OutOfRangeError("end of the connection");
    if (*n == 0) co_return absl::UnavailableError("the connection ended in the middle of a message");
    end_ += *n;
    if (first) deadline->Restart();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> FrameReader::Take(std::span<std::byte> into, Deadline deadline) {
  if (into.empty()) co_return absl::OkStatus();
  const size_t ready = std::min(into.size(), end_ - begin_);
  std::memcpy(into.data(), buffer_.get() + begin_, ready);
  begin_ += ready;
  into = into.subspan(ready);
  if (into.empty()) co_return absl::OkStatus();
  // The rest of a large part needs no detour, but a small one may as well bring its successors along.
  if (into.size() >= kReadAheadBytes / 2) {
    absl::Status status = co_await ReadExactly(stream_, into, deadline);
    if (absl::IsOutOfRange(status)) co_return absl::UnavailableError("the connection ended in the middle of a message");
    co_return status;
  }
  // The buffer is empty here; a read that ends the stream is in the middle of a frame all the same.
  absl::Status filled = co_await Fill(into.size(), deadline.remaining(), &deadline);
  if (absl::IsOutOfRange(filled)) co_return absl::UnavailableError("the connection ended in the middle of a message");
  if (!filled.ok()) co_return filled;
  std::memcpy(into.data(), buffer_.get() + begin_, into.size());
  begin_ += into.size();
  co_return absl::OkStatus();
}

Task<absl::StatusOr<Frame>> FrameReader::Read(Timeout idle, Timeout started) {
  Deadline deadline(started);
  US_CO_RETURN_IF_ERROR(co_await Fill(kFramePrefixBytes, idle, &deadline));
  std::array<std::byte, kFramePrefixBytes> bytes;
  std::memcpy(bytes.data(), buffer_.get() + begin_, bytes.size());
  begin_ += bytes.size();
  US_CO_ASSIGN_OR_RETURN(const FramePrefix prefix, ParseFramePrefix(bytes, limits_));
  Frame frame;
  frame.type = prefix.type;
  frame.header.resize(prefix.header_length);
  frame.payload.resize(prefix.payload_length);
  US_CO_RETURN_IF_ERROR(co_await Take(frame.header, deadline));
  US_CO_RETURN_IF_ERROR(co_await Take({frame.payload.data(), frame.payload.size()}, deadline));
  co_return frame;
}

Task<absl::Status> WriteFrame(Stream* stream, uint8_t type, ConstBytes header, ConstBytes payload, Timeout timeout,
                              ConstBytes payload_rest) {
  const size_t payload_bytes = payload.size() + payload_rest.size();
  if (header.size() > kMaxFrameHeaderBytes || payload_bytes > kMaxFramePayloadBytes) {
    co_return Invalid("a message of " + std::to_string(header.size()) + " + " + std::to_string(payload_bytes) +
                      " bytes does not fit into a frame");
  }
  const auto prefix =
      EncodeFramePrefix({type, static_cast<uint32_t>(header.size()), static_cast<uint32_t>(payload_bytes)});
  const std::array<ConstBytes, 4> parts = {ConstBytes(prefix), header, payload, payload_rest};
  co_return co_await stream->WriteAll(parts, timeout);
}

}  // namespace uringsync
