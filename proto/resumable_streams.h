// CodedStream: a control stream over one end of a resumable one (resumable_end.h): messages are encoded once, and kept
// as bytes until the other end has confirmed them.
//
// Thread rule: as of proto/transport.h; Send may be called by several threads.
// Use:  class MyStream final : public CodedStream<ClientMessage, AgentMessage> { ... ResumableEnd* end() override; };
#pragma once

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <mutex>
#include <string>
#include <utility>

#include "proto/resumable_end.h"
#include "proto/transport.h"
#include "proto/wire_codec.h"

namespace uringsync {

template <typename Out, typename In>
class CodedStream : public MessageStream<Out, In> {
 public:
  absl::Status Send(const Out& message) override {
    std::string bytes;
    {
      std::lock_guard lock(encoding_);
      const absl::Status encoded = encoder_.Encode(message, [&bytes](size_t size) {
        bytes.resize(size);
        return reinterpret_cast<uint8_t*>(bytes.data());
      });
      if (!encoded.ok()) return encoded;
    }
    return end()->Send(std::move(bytes));
  }

  absl::StatusOr<In> Receive() override {
    if (!broken_.ok()) return broken_;
    absl::StatusOr<std::string> bytes = end()->Receive();
    if (!bytes.ok()) return bytes.status();
    google::protobuf::io::ArrayInputStream input(bytes->data(), static_cast<int>(bytes->size()));
    absl::StatusOr<In> message = decoder_.Decode(&input, bytes->size());
    if (!message.ok()) broken_ = message.status();
    return message;
  }

  void Close() override { end()->Close(); }
  std::optional<std::chrono::milliseconds> DetachedFor() const override {
    return const_cast<CodedStream*>(this)->end()->detached_for();
  }

 protected:
  virtual ResumableEnd* end() = 0;

 private:
  std::mutex encoding_;
  WireEncoder<Out> encoder_;
  WireDecoder<In> decoder_;
  absl::Status broken_;  // of the thread that receives
};

}  // namespace uringsync
