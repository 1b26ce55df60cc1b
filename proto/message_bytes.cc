#include "proto/message_bytes.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cstdint>

#include "engine/base/errno_status.h"
#include "proto/wire_codec.h"

namespace uringsync {

absl::StatusOr<std::string> MessageBytes(const ClientMessage& message) {
  std::string bytes;
  WireEncoder<ClientMessage> encoder;
  US_RETURN_IF_ERROR(encoder.Encode(message, [&bytes](size_t size) {
    bytes.resize(size);
    return reinterpret_cast<uint8_t*>(bytes.data());
  }));
  return bytes;
}

absl::StatusOr<ClientMessage> MessageOfBytes(std::string_view bytes) {
  if (bytes.size() > kMaxControlMessageBytes) return absl::InvalidArgumentError("a message of too many bytes");
  google::protobuf::io::ArrayInputStream input(bytes.data(), static_cast<int>(bytes.size()));
  return WireDecoder<ClientMessage>().Decode(&input, bytes.size());
}

}  // namespace uringsync
