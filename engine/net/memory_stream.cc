#include "engine/net/memory_stream.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>

#include "engine/coro/channel.h"

namespace uringsync {

namespace {

constexpr size_t kMaxChunkBytes = size_t{256} << 10;

// One direction. Close() is the orderly end; `broken` turns it into a cut.
struct Flow {
  Channel<std::vector<std::byte>> chunks{kMemoryStreamWindow};
  std::atomic<bool> broken{false};
};

class MemoryStream final : public Stream {
 public:
  MemoryStream(std::shared_ptr<Flow> in, std::shared_ptr<Flow> out) : in_(std::move(in)), out_(std::move(out)) {}
  ~MemoryStream() override { Shutdown(); }

  Task<absl::StatusOr<size_t>> Read(std::span<std::byte> into, Timeout) override {
    if (shut_down_) co_return absl::CancelledError("the connection was closed on this side");
    if (taken_ == chunk_.size()) {
      std::optional<std::vector<std::byte>> next = co_await in_->chunks.Receive();
      if (shut_down_) co_return absl::CancelledError("the connection was closed on this side");
      if (!next && in_->broken) co_return absl::UnavailableError("receive from memory: the connection was cut");
      if (!next) co_return size_t{0};
      chunk_ = std::move(*next);
      taken_ = 0;
    }
    const size_t n = std::min(into.size(), chunk_.size() - taken_);
    std::memcpy(into.data(), chunk_.data() + taken_, n);
    taken_ += n;
    bytes_read_ += n;
    co_return n;
  }

  Task<absl::Status> WriteAll(std::span<const ConstBytes> parts, Timeout) override {
    for (ConstBytes part : parts) {
      while (!part.empty()) {
        if (shut_down_) co_return absl::CancelledError("the connection was closed on this side");
        const ConstBytes head = part.first(std::min(part.size(), kMaxChunkBytes));
        std::vector<std::byte> chunk(head.begin(), head.end());
        const bool taken = co_await out_->chunks.Send(std::move(chunk));
        if (shut_down_) co_return absl::CancelledError("the connection was closed on this side");
        if (!taken) co_return absl::UnavailableError("send to memory: the peer closed the connection");
        bytes_written_ += head.size();
        part = part.subspan(head.size());
      }
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> EndWrites(Timeout) override {
    if (shut_down_) co_return absl::CancelledError("the connection was closed on this side");
    out_->chunks.Close();
    ended_ = true;
    co_return absl::OkStatus();
  }

  void Shutdown() override {
    if (shut_down_) return;
    shut_down_ = true;
    if (!ended_) out_->broken = true;
    out_->chunks.Close();
    in_->chunks.Close();
  }

  const std::string& peer_address() const override { return peer_; }
  uint64_t bytes_read() const override { return bytes_read_; }
  uint64_t bytes_written() const override { return bytes_written_; }

 private:
  const std::shared_ptr<Flow> in_;
  const std::shared_ptr<Flow> out_;
  const std::string peer_ = "memory";
  std::vector<std::byte> chunk_;
  size_t taken_ = 0;
  bool shut_down_ = false;
  bool ended_ = false;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_written_ = 0;
};

}  // namespace

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> MakeMemoryStreamPair() {
  auto forth = std::make_shared<Flow>();
  auto back = std::make_shared<Flow>();
  return {std::make_unique<MemoryStream>(back, forth), std::make_unique<MemoryStream>(forth, back)};
}

}  // namespace uringsync
