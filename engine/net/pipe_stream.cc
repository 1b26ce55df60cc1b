#include "engine/net/pipe_stream.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {

namespace {

constexpr size_t kMaxTransferBytes = size_t{1} << 30;
// Parts that one operation takes.
constexpr size_t kVectors = 16;

// What is left of the parts of one WriteAll.
class Remainder {
 public:
  explicit Remainder(std::span<const ConstBytes> parts) : parts_(parts) { SkipEmpty(); }
  bool empty() const { return parts_.empty(); }

  size_t Fill(std::array<iovec, kVectors>* vectors) const {
    size_t count = 0;
    for (const ConstBytes& part : parts_.first(std::min(parts_.size(), kVectors))) {
      const ConstBytes rest = count == 0 ? part.subspan(begun_) : part;
      (*vectors)[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
    }
    return count;
  }
  void Advance(size_t n) {
    begun_ += n;
    SkipEmpty();
  }

 private:
  void SkipEmpty() {
    while (!parts_.empty() && begun_ >= parts_.front().size()) {
      begun_ -= parts_.front().size();
      parts_ = parts_.subspan(1);
    }
  }

  std::span<const ConstBytes> parts_;
  size_t begun_ = 0;  // bytes of the first one that are written
};

absl::Status MakeNonBlocking(Driver* driver, int fd) {
  const long flags = driver->Call(CallCode::kFcntl, fd, F_GETFL);
  if (flags < 0) return ErrnoStatus(static_cast<int>(-flags), "fcntl of a pipe");
  const long rc = (flags & O_NONBLOCK) != 0 ? 0 : driver->Call(CallCode::kFcntl, fd, F_SETFL, flags | O_NONBLOCK);
  if (rc < 0) return ErrnoStatus(static_cast<int>(-rc), "make a pipe non-blocking");
  // Refused for what is no pipe, and beyond the user's limit: smaller steps then.
  driver->Call(CallCode::kFcntl, fd, F_SETPIPE_SZ, kPipeBytes);
  return absl::OkStatus();
}

absl::Status ClosedHere() {
  return absl::CancelledError("the connection was closed on this side");
}

}  // namespace

absl::StatusOr<std::unique_ptr<PipeStream>> PipeStream::Adopt(Driver* driver, PipeEnds ends) {
  US_RETURN_IF_ERROR(MakeNonBlocking(driver, ends.input.get()));
  US_RETURN_IF_ERROR(MakeNonBlocking(driver, ends.output.get()));
  return std::unique_ptr<PipeStream>(new PipeStream(driver, std::move(ends)));
}

PipeStream::~PipeStream() {
  for (UniqueFd* fd : {&ends_.input, &ends_.output}) {
    if (fd->valid()) driver_->Call(CallCode::kClose, fd->Release());
  }
}

absl::Status PipeStream::Failed(int64_t result, const char* operation) const {
  if (shut_down_) return ClosedHere();
  const std::string context = std::string(operation) + ends_.peer;
  if (result == -ETIME) return MakeStatus(absl::StatusCode::kDeadlineExceeded, context + ": timed out");
  if (result == -EPIPE || result == -ECONNRESET) {
    return MakeStatus(absl::StatusCode::kUnavailable, context + ": it has hung up");
  }
  return ErrnoStatus(static_cast<int>(-result), context);
}

Task<absl::StatusOr<size_t>> PipeStream::Read(std::span<std::byte> into, Timeout timeout) {
  if (shut_down_) co_return ClosedHere();
  Op op;
  op.code = OpCode::kReadPipe;
  op.fd = ends_.input.get();
  op.buffer = into.data();
  op.length = static_cast<uint32_t>(std::min(into.size(), kMaxTransferBytes));
  op.timeout = timeout;
  reading_ = &op;
  const int64_t n = co_await Await(driver_, &op);
  reading_ = nullptr;
  if (n < 0 || shut_down_) co_return Failed(n, "receive from ");
  bytes_read_ += static_cast<uint64_t>(n);
  co_return static_cast<size_t>(n);
}

Task<absl::Status> PipeStream::WriteAll(std::span<const ConstBytes> parts, Timeout timeout) {
  const Deadline deadline(timeout);
  Remainder rest(parts);
  while (!rest.empty()) {
    if (shut_down_) co_return ClosedHere();
    if (!ends_.output.valid())
      co_return absl::UnavailableError("send to " + ends_.peer + ": nothing more was to be sent");
    std::array<iovec, kVectors> vectors;
    Op op;
    op.code = OpCode::kWritePipe;
    op.fd = ends_.output.get();
    op.buffer = vectors.data();
    op.length = static_cast<uint32_t>(rest.Fill(&vectors));
    op.timeout = deadline.remaining();
    writing_ = &op;
    const int64_t n = co_await Await(driver_, &op);
    writing_ = nullptr;
    if (n < 0) co_return Failed(n, "send to ");
    bytes_written_ += static_cast<uint64_t>(n);
    rest.Advance(static_cast<size_t>(n));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> PipeStream::EndWrites(Timeout) {
  if (shut_down_) co_return ClosedHere();
  if (ends_.output.valid()) driver_->Call(CallCode::kClose, ends_.output.Release());
  co_return absl::OkStatus();
}

void PipeStream::Shutdown() {
  if (shut_down_) return;
  shut_down_ = true;
  if (reading_ != nullptr) driver_->Cancel(reading_);
  if (writing_ != nullptr) driver_->Cancel(writing_);
  // The peer of a pipe sees nothing but its end. What is being written keeps its descriptor until it has ended.
  if (writing_ == nullptr && ends_.output.valid()) driver_->Call(CallCode::kClose, ends_.output.Release());
}

}  // namespace uringsync
