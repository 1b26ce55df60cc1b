#include "proto/socket_control.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/base/errno_status.h"
#include "proto/wire_codec.h"

namespace uringsync {
namespace {

constexpr size_t kLengthBytes = 4;
// How long the client's destructor lets the agent end its side.
constexpr std::chrono::seconds kPoliteEnd{2};

std::array<uint8_t, kLengthBytes> EncodeLength(size_t length) {
  std::array<uint8_t, kLengthBytes> out;
  for (size_t i = 0; i < kLengthBytes; ++i) out[i] = static_cast<uint8_t>(length >> (8 * i));
  return out;
}

bool SendWhole(int fd, const uint8_t* bytes, size_t size) {
  while (size > 0) {
    const ssize_t n = ::send(fd, bytes, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

bool ReceiveWhole(int fd, uint8_t* into, size_t size) {
  while (size > 0) {
    const ssize_t n = ::recv(fd, into, size, MSG_WAITALL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    into += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

enum class Farewell : uint8_t { kAtOnce, kPolite };

template <typename Out, typename In>
class SocketStream final : public MessageStream<Out, In> {
 public:
  SocketStream(UniqueFd socket, std::string peer, Farewell farewell)
      : socket_(std::move(socket)), peer_(std::move(peer)), farewell_(farewell) {}

  ~SocketStream() override {
    if (closed_) return;
    const std::array<uint8_t, kLengthBytes> end = EncodeLength(0);
    SendWhole(socket_.get(), end.data(), end.size());
    ::shutdown(socket_.get(), SHUT_WR);
    if (farewell_ == Farewell::kPolite && receive_end_.ok()) AwaitEnd();
  }

  absl::Status Send(const Out& message) override {
    std::lock_guard lock(send_mutex_);
    if (closed_) return ClosedHere();
    const absl::Status encoded = encoder_.Encode(message, [this](size_t size) {
      outgoing_.resize(kLengthBytes + size);
      return outgoing_.data() + kLengthBytes;
    });
    if (!encoded.ok()) return encoded;
    const std::array<uint8_t, kLengthBytes> length = EncodeLength(outgoing_.size() - kLengthBytes);
    std::memcpy(outgoing_.data(), length.data(), length.size());
    if (SendWhole(socket_.get(), outgoing_.data(), outgoing_.size())) return absl::OkStatus();
    return closed_ ? ClosedHere() : Lost();
  }

  absl::StatusOr<In> Receive() override {
    if (!receive_end_.ok()) return receive_end_;
    absl::StatusOr<In> message = ReceiveNext();
    if (!message.ok()) receive_end_ = message.status();
    return message;
  }

  void Close() override {
    closed_ = true;
    ::shutdown(socket_.get(), SHUT_RDWR);
  }

 private:
  static absl::Status ClosedHere() { return absl::UnavailableError("the session was closed at this end"); }
  absl::Status Lost() const { return MakeStatus(absl::StatusCode::kUnavailable, "lost the connection to " + peer_); }

  absl::StatusOr<In> ReceiveNext() {
    std::array<uint8_t, kLengthBytes> prefix;
    if (!ReceiveWhole(socket_.get(), prefix.data(), prefix.size())) return closed_ ? ClosedHere() : Lost();
    size_t length = 0;
    for (size_t i = 0; i < kLengthBytes; ++i) length |= static_cast<size_t>(prefix[i]) << (8 * i);
    if (closed_) return ClosedHere();
    if (length == 0) return MakeStatus(absl::StatusCode::kOutOfRange, peer_ + " ended the session");
    if (length > kMaxControlMessageBytes) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        peer_ + " sent a control message of " + std::to_string(length) + " bytes");
    }
    incoming_.resize(length);
    if (!ReceiveWhole(socket_.get(), incoming_.data(), length)) return closed_ ? ClosedHere() : Lost();
    google::protobuf::io::ArrayInputStream input(incoming_.data(), static_cast<int>(length));
    return decoder_.Decode(&input, length);
  }

  // Until the agent has ended its side, or for kPoliteEnd.
  void AwaitEnd() const {
    const auto deadline = std::chrono::steady_clock::now() + kPoliteEnd;
    std::array<uint8_t, 4096> dropped;
    while (true) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) return;
      const ssize_t n = ::recv(socket_.get(), dropped.data(), dropped.size(), MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) return;
    }
  }

  const UniqueFd socket_;
  const std::string peer_;
  const Farewell farewell_;
  std::mutex send_mutex_;
  std::vector<uint8_t> outgoing_;
  std::vector<uint8_t> incoming_;
  WireEncoder<Out> encoder_;
  WireDecoder<In> decoder_;
  absl::Status receive_end_;
  std::atomic<bool> closed_{false};
};

}  // namespace

std::unique_ptr<ClientStream> MakeSocketClientStream(UniqueFd socket, std::string peer) {
  return std::make_unique<SocketStream<ClientMessage, AgentMessage>>(std::move(socket), std::move(peer),
                                                                     Farewell::kPolite);
}

std::unique_ptr<AgentStream> MakeSocketAgentStream(UniqueFd socket, std::string peer) {
  return std::make_unique<SocketStream<AgentMessage, ClientMessage>>(std::move(socket), std::move(peer),
                                                                     Farewell::kAtOnce);
}

}  // namespace uringsync
