// Headers of the data plane's frames. The first byte chooses the message. What is accepted must survive another round.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "proto/data_convert.h"

namespace uringsync {
namespace {

ConstBytes AsBytes(const std::string& text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

void CheckRequests(ConstBytes header) {
  const absl::StatusOr<RequestMessage> message = DecodeRequests(header);
  if (!message.ok()) return;
  const absl::StatusOr<std::vector<std::string>> encoded = EncodeRequests(*message);
  if (!encoded.ok()) std::abort();
  size_t seen = 0;
  for (const std::string& part : *encoded) {
    const absl::StatusOr<RequestMessage> again = DecodeRequests(AsBytes(part));
    if (!again.ok()) std::abort();
    for (const FileRequest& request : again->requests) {
      const FileRequest& before = message->requests[seen++];
      if (request.path != before.path || request.id != before.id || request.length != before.length) std::abort();
    }
  }
  if (seen != message->requests.size()) std::abort();
}

void CheckReplies(ConstBytes header) {
  // The content's length is part of what must agree; try the two that an input can easily match.
  for (const size_t payload : {size_t{0}, size_t{100}}) {
    absl::StatusOr<ReplyMessage> message = DecodeReplies(header, payload);
    if (!message.ok()) continue;
    message->payload.resize(payload);
    const absl::StatusOr<std::vector<EncodedReply>> encoded = EncodeReplies(*message);
    // A compressed frame is not cut, and a header may be longer than this side would make it.
    if (!encoded.ok() && message->raw_length > 0) continue;
    if (!encoded.ok()) std::abort();
    for (const EncodedReply& part : *encoded) {
      if (!DecodeReplies(AsBytes(part.header), part.payload_length).ok()) std::abort();
    }
  }
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  if (size == 0) return 0;
  const ConstBytes header = std::as_bytes(std::span<const uint8_t>(data + 1, size - 1));
  switch (data[0] % 4) {
    case 0: (void)DecodeDataHello(header); break;
    case 1: (void)DecodeDataHelloReply(header); break;
    case 2: CheckRequests(header); break;
    default: CheckReplies(header);
  }
  return 0;
}
