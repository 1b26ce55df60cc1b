// Whole control messages as bytes: what every transport of this room sends and receives. For transports only.
//
// Thread rule: an encoder or decoder belongs to one direction of one stream; one thread at a time.
#pragma once

#include <google/protobuf/arena.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

// Value is ClientMessage or AgentMessage.
template <typename Value>
class WireEncoder {
 public:
  // Asks `allocate` for memory of the message's exact size and fills it. InvalidArgument for what EncodeMessage refuses
  // and for a message of more than kMaxControlMessageBytes; `allocate` has not been called then.
  absl::Status Encode(const Value& value, const std::function<uint8_t*(size_t)>& allocate);

 private:
  google::protobuf::Arena arena_;
};

template <typename Value>
class WireDecoder {
 public:
  // The message of `size` bytes in `input`. InvalidArgument for too many bytes, bytes that are no message, and what
  // DecodeMessage refuses.
  absl::StatusOr<Value> Decode(google::protobuf::io::ZeroCopyInputStream* input, size_t size);

 private:
  google::protobuf::Arena arena_;
};

extern template class WireEncoder<ClientMessage>;
extern template class WireEncoder<AgentMessage>;
extern template class WireDecoder<ClientMessage>;
extern template class WireDecoder<AgentMessage>;

}  // namespace uringsync
