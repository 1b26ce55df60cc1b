#include <algorithm>
#include <cstring>

#include "engine/base/errno_status.h"
#include "proto/data_convert.h"
#include "uringsync/v1/data.pb.h"

namespace uringsync {

namespace {

absl::Status Invalid(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, text);
}

template <size_t N>
absl::Status CopyExactly(const std::string& bytes, const char* what, std::array<uint8_t, N>* into) {
  if (bytes.size() != N) {
    return Invalid(std::string(what) + " has " + std::to_string(bytes.size()) + " bytes instead of " +
                   std::to_string(N));
  }
  std::memcpy(into->data(), bytes.data(), N);
  return absl::OkStatus();
}

template <size_t N>
std::string AsString(const std::array<uint8_t, N>& bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), N);
}

}  // namespace

std::string EncodeDataHello(const DataHello& hello) {
  v1::DataHello wire;
  wire.set_version(hello.version);
  wire.set_session(AsString(hello.session));
  wire.set_token(AsString(hello.token));
  wire.set_role(hello.role == Role::kSource ? v1::DATA_ROLE_SOURCE : v1::DATA_ROLE_DESTINATION);
  return wire.SerializeAsString();
}

absl::StatusOr<DataHello> DecodeDataHello(ConstBytes header) {
  v1::DataHello wire;
  if (!wire.ParseFromArray(header.data(), static_cast<int>(header.size()))) {
    return Invalid("the first frame of a data connection is no DataHello");
  }
  DataHello hello;
  hello.version = wire.version();
  US_RETURN_IF_ERROR(CopyExactly(wire.session(), "the session of a DataHello", &hello.session));
  US_RETURN_IF_ERROR(CopyExactly(wire.token(), "the token of a DataHello", &hello.token));
  if (wire.role() == v1::DATA_ROLE_SOURCE) {
    hello.role = Role::kSource;
  } else if (wire.role() == v1::DATA_ROLE_DESTINATION) {
    hello.role = Role::kDestination;
  } else {
    return Invalid("a DataHello has no role that is known: " + std::to_string(wire.role()));
  }
  return hello;
}

std::string EncodeDataHelloReply(const DataHelloReply& reply) {
  v1::DataHelloReply wire;
  wire.set_ok(reply.ok);
  // A cut inside a UTF-8 sequence would make the field invalid: step back to its start.
  size_t size = std::min(reply.error.size(), kMaxHelloErrorBytes);
  while (size < reply.error.size() && size > 0 && (static_cast<unsigned char>(reply.error[size]) & 0xc0) == 0x80)
    --size;
  wire.set_error(reply.error.substr(0, size));
  wire.set_version(reply.version);
  return wire.SerializeAsString();
}

absl::StatusOr<DataHelloReply> DecodeDataHelloReply(ConstBytes header) {
  v1::DataHelloReply wire;
  if (!wire.ParseFromArray(header.data(), static_cast<int>(header.size()))) {
    return Invalid("the peer's first frame is no DataHelloReply");
  }
  if (wire.error().size() > kMaxHelloErrorBytes) return Invalid("the error of a DataHelloReply is too long");
  return DataHelloReply{wire.ok(), wire.error(), wire.version()};
}

}  // namespace uringsync
