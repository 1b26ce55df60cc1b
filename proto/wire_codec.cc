#include "proto/wire_codec.h"

#include <string>

#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

template <typename Value>
struct WireOf;
template <>
struct WireOf<ClientMessage> {
  using Type = v1::ClientMessage;
};
template <>
struct WireOf<AgentMessage> {
  using Type = v1::AgentMessage;
};

absl::Status CheckSize(std::string_view what, size_t size) {
  if (size <= kMaxControlMessageBytes) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInvalidArgument, std::string(what) + " of " + std::to_string(size) +
                                                            " bytes; control messages have at most " +
                                                            std::to_string(kMaxControlMessageBytes));
}

// Gives the arena's memory back when a message has been handled.
class ArenaReset {
 public:
  explicit ArenaReset(google::protobuf::Arena* arena) : arena_(arena) {}
  ~ArenaReset() { arena_->Reset(); }
  ArenaReset(const ArenaReset&) = delete;
  ArenaReset& operator=(const ArenaReset&) = delete;

 private:
  google::protobuf::Arena* arena_;
};

}  // namespace

template <typename Value>
absl::Status WireEncoder<Value>::Encode(const Value& value, const std::function<uint8_t*(size_t)>& allocate) {
  ArenaReset reset(&arena_);
  auto* wire = google::protobuf::Arena::CreateMessage<typename WireOf<Value>::Type>(&arena_);
  US_RETURN_IF_ERROR(EncodeMessage(value, wire));
  const size_t size = wire->ByteSizeLong();
  US_RETURN_IF_ERROR(CheckSize("message", size));
  wire->SerializeWithCachedSizesToArray(allocate(size));
  return absl::OkStatus();
}

template <typename Value>
absl::StatusOr<Value> WireDecoder<Value>::Decode(google::protobuf::io::ZeroCopyInputStream* input, size_t size) {
  US_RETURN_IF_ERROR(CheckSize("received a message", size));
  ArenaReset reset(&arena_);
  auto* wire = google::protobuf::Arena::CreateMessage<typename WireOf<Value>::Type>(&arena_);
  if (!wire->ParseFromZeroCopyStream(input)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "received " + std::to_string(size) + " bytes that are no control message");
  }
  return DecodeMessage(*wire);
}

template class WireEncoder<ClientMessage>;
template class WireEncoder<AgentMessage>;
template class WireDecoder<ClientMessage>;
template class WireDecoder<AgentMessage>;

}  // namespace uringsync
