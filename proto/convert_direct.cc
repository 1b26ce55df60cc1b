#include "proto/convert_direct.h"

#include <string>

#include "engine/base/errno_status.h"
#include "proto/convert_fields.h"

namespace uringsync::convert_internal {

absl::Status EncodeDirectQuery(const DirectQuery& query, v1::DirectQuery* wire) {
  US_RETURN_IF_ERROR(
      CheckBound({"DirectQuery", "certificate"}, query.keys.certificate.size(), kMaxOneTimeKeyBytes, "bytes"));
  US_RETURN_IF_ERROR(CheckBound({"DirectQuery", "key"}, query.keys.key.size(), kMaxOneTimeKeyBytes, "bytes"));
  wire->set_certificate(query.keys.certificate);
  wire->set_key(query.keys.key);
  wire->set_listen(query.listen);
  wire->set_port(query.port);
  return absl::OkStatus();
}

absl::StatusOr<DirectQuery> DecodeDirectQuery(const v1::DirectQuery& wire) {
  DirectQuery query;
  US_ASSIGN_OR_RETURN(query.keys.certificate,
                      DecodeText({"DirectQuery", "certificate"}, wire.certificate(), kMaxOneTimeKeyBytes));
  US_ASSIGN_OR_RETURN(query.keys.key, DecodeText({"DirectQuery", "key"}, wire.key(), kMaxOneTimeKeyBytes));
  query.listen = wire.listen();
  US_ASSIGN_OR_RETURN(query.port, DecodePort({"DirectQuery", "port"}, wire.port(), /*none_allowed=*/true));
  return query;
}

absl::Status EncodeDirectReply(const DirectReply& reply, v1::DirectReply* wire) {
  wire->set_address(reply.address);
  wire->set_port(reply.port);
  return absl::OkStatus();
}

absl::StatusOr<DirectReply> DecodeDirectReply(const v1::DirectReply& wire) {
  DirectReply reply;
  if (!wire.address().empty()) {
    US_ASSIGN_OR_RETURN(reply.address, DecodeHost({"DirectReply", "address"}, wire.address()));
  }
  US_ASSIGN_OR_RETURN(reply.port, DecodePort({"DirectReply", "port"}, wire.port(), /*none_allowed=*/true));
  return reply;
}

}  // namespace uringsync::convert_internal
