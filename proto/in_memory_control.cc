// The control transport within one process: two bounded queues of encoded messages, so that everything a network would
// check is checked here too.
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <atomic>
#include <string>

#include "engine/coro/channel.h"
#include "proto/transport.h"
#include "proto/wire_codec.h"

namespace uringsync {
namespace {

// One direction.
struct Lane {
  explicit Lane(size_t window) : messages(window) {}
  Channel<std::string> messages;
};

template <typename Out, typename In>
class InMemoryStream final : public MessageStream<Out, In> {
 public:
  InMemoryStream(std::shared_ptr<Lane> out, std::shared_ptr<Lane> in) : out_(std::move(out)), in_(std::move(in)) {}
  ~InMemoryStream() override { Close(); }

  absl::Status Send(const Out& message) override {
    std::string bytes;
    const absl::Status encoded = encoder_.Encode(message, [&bytes](size_t size) {
      bytes.resize(size);
      return reinterpret_cast<uint8_t*>(bytes.data());
    });
    if (!encoded.ok()) return encoded;
    if (!out_->messages.BlockingSend(std::move(bytes))) return absl::UnavailableError("the stream has ended");
    return absl::OkStatus();
  }

  absl::StatusOr<In> Receive() override {
    if (closed_) return absl::UnavailableError("the stream was closed at this end");
    std::optional<std::string> bytes = in_->messages.BlockingReceive();
    if (closed_) return absl::UnavailableError("the stream was closed at this end");
    if (!bytes) return absl::OutOfRangeError("the peer ended the stream");
    google::protobuf::io::ArrayInputStream input(bytes->data(), static_cast<int>(bytes->size()));
    absl::StatusOr<In> message = decoder_.Decode(&input, bytes->size());
    if (!message.ok()) in_->messages.Close();
    return message;
  }

  // The peer still receives what was sent before.
  void Close() override {
    closed_ = true;
    out_->messages.Close();
    in_->messages.Close();
  }

 private:
  std::shared_ptr<Lane> out_;
  std::shared_ptr<Lane> in_;
  WireEncoder<Out> encoder_;
  WireDecoder<In> decoder_;
  std::atomic<bool> closed_{false};
};

}  // namespace

std::pair<std::unique_ptr<ClientStream>, std::unique_ptr<AgentStream>> MakeInMemoryControlPair(size_t window) {
  auto to_agent = std::make_shared<Lane>(window);
  auto to_client = std::make_shared<Lane>(window);
  return {std::make_unique<InMemoryStream<ClientMessage, AgentMessage>>(to_agent, to_client),
          std::make_unique<InMemoryStream<AgentMessage, ClientMessage>>(to_client, to_agent)};
}

}  // namespace uringsync
