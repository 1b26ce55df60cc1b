// The data plane's frames as validated values: the only wire ↔ value code of the data plane.
//
// Pure functions on bytes. Decoders refuse (InvalidArgument, naming the bound or field) before they allocate for a
// count that is too large. Encoders split what does not fit into one frame.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/frame.h"
#include "engine/transfer/data_channel.h"
#include "proto/data_stream.h"

namespace uringsync {

// Frame types of the data plane.
enum class DataFrameType : uint8_t { kHello = 1, kHelloReply, kRequests, kReplies };

constexpr FrameLimits kDataHelloLimits{.max_header_bytes = 4096, .max_payload_bytes = 0};
constexpr FrameLimits kDataRequestLimits{.max_header_bytes = kMaxFrameHeaderBytes, .max_payload_bytes = 0};
constexpr FrameLimits kDataReplyLimits{};

constexpr size_t kMaxDirectoriesPerRequestMessage = 65536;
// Sum of the lengths of all paths of one message, as text: bounds what a small table can be made to expand to.
constexpr size_t kMaxPathBytesPerMessage = size_t{4} << 20;
constexpr size_t kMaxItemsPerReplyMessage = 4096;
constexpr size_t kMaxXattrsPerReplyMessage = 16384;
constexpr size_t kMaxXattrValueBytes = size_t{64} << 10;
constexpr size_t kMaxOperationBytes = 64;
constexpr size_t kMaxHelloErrorBytes = 1024;

struct DataHelloReply {
  bool ok = false;
  std::string error;
  uint32_t version = kProtocolVersion;
};

// Headers as bytes. Callers give valid values.
std::string EncodeDataHello(const DataHello& hello);
std::string EncodeDataHelloReply(const DataHelloReply& reply);
absl::StatusOr<DataHello> DecodeDataHello(ConstBytes header);
absl::StatusOr<DataHelloReply> DecodeDataHelloReply(ConstBytes header);

// One header or more. InvalidArgument for a request that no frame can hold (more than 65536 directories above it).
absl::StatusOr<std::vector<std::string>> EncodeRequests(const RequestMessage& message);
absl::StatusOr<RequestMessage> DecodeRequests(ConstBytes header);

struct EncodedReply {
  std::string header;
  size_t payload_begin = 0;  // bytes of the message's contents (payload, then tail) that go with this frame
  size_t payload_length = 0;
};
// One frame or more, covering items and payload in order. InvalidArgument where the items do not fit the payload.
absl::StatusOr<std::vector<EncodedReply>> EncodeReplies(const ReplyMessage& message);
// `payload_length`: of the frame. The result's payload is empty: the caller moves it in.
absl::StatusOr<ReplyMessage> DecodeReplies(ConstBytes header, size_t payload_length);

}  // namespace uringsync
