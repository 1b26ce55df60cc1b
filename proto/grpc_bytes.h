// What both ends of the gRPC transport share: the method, the encoded form of messages, and the channel settings.
//
// Messages pass gRPC as opaque byte buffers and are parsed by WireDecoder. So a malformed message is told apart from a
// broken connection, its size is known before it is parsed, and parsing uses an arena.
#pragma once

#include <grpc/slice.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>
#include <grpcpp/support/status.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/wire_codec.h"

namespace uringsync::grpc_internal {

constexpr char kSessionMethod[] = "/uringsync.v1.Agent/Session";
constexpr char kResumeMethod[] = "/uringsync.v1.Agent/Resume";

// A connection that is cut without a word is noticed after kKeepaliveTimeMs + kKeepaliveTimeoutMs at the latest.
constexpr int kKeepaliveTimeMs = 10'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// How long a stranger may take for the TLS handshake.
constexpr int kHandshakeTimeoutMs = 15'000;
// What HTTP/2 lets a sender have under way on one stream, and so what a receiver that does not read holds at most.
constexpr int kStreamWindowBytes = 1 << 20;

// Of a call's end, as a client is told it. `name`: the agent's.
absl::Status CallEnd(const grpc::Status& status, const std::string& name);

inline grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

inline absl::StatusOr<std::string> ToBytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return absl::InvalidArgumentError("received bytes that cannot be read");
  std::string bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

template <typename Value>
absl::Status EncodeBuffer(const Value& value, WireEncoder<Value>* encoder, grpc::ByteBuffer* buffer) {
  grpc_slice slice{};
  const absl::Status encoded = encoder->Encode(value, [&slice](size_t size) {
    slice = grpc_slice_malloc(size);
    return GRPC_SLICE_START_PTR(slice);
  });
  if (!encoded.ok()) return encoded;
  const grpc::Slice owner(slice, grpc::Slice::STEAL_REF);
  *buffer = grpc::ByteBuffer(&owner, 1);
  return absl::OkStatus();
}

template <typename Value>
absl::StatusOr<Value> DecodeBuffer(grpc::ByteBuffer* buffer, WireDecoder<Value>* decoder) {
  grpc::ProtoBufferReader reader(buffer);
  if (!reader.status().ok()) return absl::InvalidArgumentError("received bytes that cannot be read");
  return decoder->Decode(&reader, buffer->Length());
}

}  // namespace uringsync::grpc_internal
