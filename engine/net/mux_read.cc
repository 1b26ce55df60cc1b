// The reading half of a mux: one coroutine takes frames off the pipe and never waits for anything else.
#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/net/mux_core.h"

namespace uringsync {

namespace {

constexpr size_t kBufferBytes = 128 << 10;

absl::Status Bad(const std::string& what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "the shell's channel: " + what);
}

absl::Status Torn(const std::string& peer) {
  return absl::UnavailableError(peer + " hung up in the middle of a frame");
}

}  // namespace

Task<absl::StatusOr<size_t>> MuxCore::ReadPipe(std::span<std::byte> into) {
  absl::StatusOr<size_t> n = co_await pipe_->Read(into, kNoTimeout);
  silence_ = std::chrono::milliseconds(0);
  co_return n;
}

// More bytes into the buffer, which is empty; 0 at the end of the pipe.
Task<absl::StatusOr<size_t>> MuxCore::Refill() {
  if (buffer_ == nullptr) buffer_ = std::make_unique<std::byte[]>(kBufferBytes);
  absl::StatusOr<size_t> n = co_await ReadPipe({buffer_.get(), kBufferBytes});
  begin_ = 0;
  end_ = n.ok() ? *n : 0;
  co_return n;
}

// Fills `into`, a header or a small body. OutOfRange where the pipe ended before its first byte and `may_end`.
Task<absl::Status> MuxCore::ReadBuffered(std::span<std::byte> into, bool may_end) {
  size_t done = 0;
  while (done < into.size()) {
    if (begin_ == end_) {
      US_CO_ASSIGN_OR_RETURN(const size_t got, co_await Refill());
      if (got == 0 && done == 0 && may_end) co_return absl::OutOfRangeError("end");
      if (got == 0) co_return Torn(peer());
    }
    const size_t n = std::min(into.size() - done, end_ - begin_);
    std::memcpy(into.data() + done, buffer_.get() + begin_, n);
    begin_ += n;
    done += n;
  }
  co_return absl::OkStatus();
}

// Fills `chunk` past the buffer, which is empty.
Task<absl::Status> MuxCore::ReadChunk(Payload* chunk) {
  size_t filled = 0;
  while (filled < chunk->size()) {
    US_CO_ASSIGN_OR_RETURN(const size_t n, co_await ReadPipe({chunk->data() + filled, chunk->size() - filled}));
    if (n == 0) co_return Torn(peer());
    filled += n;
  }
  co_return absl::OkStatus();
}

absl::StatusOr<MuxCore::LanePtr> MuxCore::Find(uint32_t id) const {
  if (const auto found = lanes_.find(id); found != lanes_.end()) return found->second;
  const bool was = id % 2 == our_parity_ ? id < next_id_ : id <= last_peer_id_;
  if (was) return LanePtr();
  return Bad("stream " + std::to_string(id) + " was never opened");
}

absl::Status MuxCore::TakeOpen(const MuxFrame& frame) {
  if (frame.stream % 2 == our_parity_ || frame.stream <= last_peer_id_) {
    return Bad("stream " + std::to_string(frame.stream) + " cannot be opened by the peer now");
  }
  if (open_theirs_ >= kMaxMuxStreams) return Bad("too many streams are open");
  last_peer_id_ = frame.stream;
  ++open_theirs_;
  auto lane = std::make_shared<MuxLane>(frame.stream, frame.kind);
  lanes_.emplace(frame.stream, lane);
  accepted_.push_back(std::move(lane));
  arrived_.Set();
  return absl::OkStatus();
}

absl::Status MuxCore::TakeCredit(MuxLane* lane, uint32_t bytes) {
  if (bytes > MuxWindow(lane->kind) - lane->credit) return Bad("more credit than a stream has");
  lane->credit += bytes;
  Ready(lanes_.at(lane->id));
  return absl::OkStatus();
}

Task<absl::Status> MuxCore::TakeData(LanePtr lane, uint32_t length) {
  if (lane != nullptr) {
    if (lane->peer_ended) co_return Bad("data after the end of a stream");
    if (length > lane->granted) co_return Bad("data beyond the credit of a stream");
    lane->granted -= length;
  }
  while (length > 0) {
    if (begin_ == end_ && lane != nullptr && lane->known && !lane->input.wanted()) {
      Payload chunk;
      chunk.resize(length);
      US_CO_RETURN_IF_ERROR(co_await ReadChunk(&chunk));
      length = 0;
      if (lane->known) lane->input.Deliver(std::move(chunk));  // the reader may have come meanwhile
    } else {
      if (begin_ == end_) {
        US_CO_ASSIGN_OR_RETURN(const size_t got, co_await Refill());
        if (got == 0) co_return Torn(peer());
      }
      const size_t n = std::min<size_t>(length, end_ - begin_);
      if (lane != nullptr && lane->known) lane->input.Deliver(ConstBytes(buffer_.get() + begin_, n));
      begin_ += n;
      length -= static_cast<uint32_t>(n);
    }
    if (lane != nullptr) lane->readable.Set();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> MuxCore::TakeFrame(MuxFrame frame) {
  if (frame.type == MuxFrameType::kOpen) co_return TakeOpen(frame);
  if (frame.type == MuxFrameType::kPing) Queue({MuxFrameType::kPong, MuxKind::kControl, 0, 0});
  if (frame.stream == 0) co_return absl::OkStatus();
  US_CO_ASSIGN_OR_RETURN(LanePtr lane, Find(frame.stream));
  switch (frame.type) {
    case MuxFrameType::kData: co_return co_await TakeData(std::move(lane), frame.length);
    case MuxFrameType::kCredit: {
      std::array<std::byte, 4> body;
      US_CO_RETURN_IF_ERROR(co_await ReadBuffered(body, /*may_end=*/false));
      if (lane != nullptr && lane->known) co_return TakeCredit(lane.get(), ParseMuxCredit(body));
      break;
    }
    case MuxFrameType::kEnd:
      if (lane == nullptr) break;
      if (lane->peer_ended) co_return Bad("a stream ended twice");
      lane->peer_ended = true;
      if (lane->write_ended) Uncount(lane.get());
      lane->readable.Set();
      break;
    case MuxFrameType::kReset:
      if (lane == nullptr) break;
      Break(lane.get(), absl::UnavailableError(peer() + " broke the stream off"));
      Forget(lane.get());
      break;
    default: break;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> MuxCore::ReadLoop() {
  while (true) {
    std::array<std::byte, kMuxFrameBytes> header;
    absl::Status read = co_await ReadBuffered(header, /*may_end=*/true);
    if (absl::IsOutOfRange(read)) co_return absl::UnavailableError(peer() + " hung up");
    if (!read.ok()) co_return read;
    US_CO_ASSIGN_OR_RETURN(const MuxFrame frame, ParseMuxFrame(header));
    if (frame.type == MuxFrameType::kBye) {
      peer_left_ = true;
      co_return absl::OkStatus();
    }
    US_CO_RETURN_IF_ERROR(co_await TakeFrame(frame));
  }
}

}  // namespace uringsync
