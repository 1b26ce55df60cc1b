#include "engine/transfer/piece_writer.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/digest.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr size_t kZeroBytes = 256 << 10;
alignas(4096) constexpr std::byte kZeros[kZeroBytes] = {};

}  // namespace

absl::Status PieceWriter::FailWrite(const absl::Status& error) {
  failure_ = WriteFailure(StatusErrno(error), "write");
  return error;
}

void PieceWriter::TakeSourceFailure(const ReplyItem& item) {
  current_ = item.current;
  failure_ = SourceFailure(item.status, item.operation, item.error);
}

void PieceWriter::Arrived(uint64_t offset, uint64_t length) {
  if (offset <= whole_until_) whole_until_ = std::max(whole_until_, offset + length);
}

Task<absl::Status> PieceWriter::WriteZeros(uint64_t offset, uint64_t length) {
  while (length > 0 && !shared_->stopped()) {
    size_t part = static_cast<size_t>(std::min<uint64_t>(length, kZeroBytes));
    US_CO_RETURN_IF_ERROR(co_await WriteData(driver_, file_, kZeros, part, offset));
    offset += part;
    length -= part;
    written_ += part;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> PieceWriter::OnItem(ReplyItem item, Piece piece) {
  if (shared_->stopped()) co_return absl::CancelledError("the session is over");
  if (int full = shared_->full(); full != 0 && file_.fd >= 0) co_return FailWrite(ErrnoStatus(full, "write"));
  if (item.xattrs.has_value()) xattrs_ = std::move(item.xattrs);
  if (item.end) {
    ended_ = true;
    status_ = item.status;
  }
  if (item.status != ReplyStatus::kOk) {
    TakeSourceFailure(item);
    co_return absl::OkStatus();
  }
  if (file_.fd < 0) co_return absl::OkStatus();
  if (item.data_length > 0) {
    if (piece.size() != item.data_length || Xxh128(piece.bytes(), shared_->options().digest_seed) != item.digest) {
      mismatch_ = true;
      failure_ = TransferFailure{FailureKind::kIntegrity, true, "digest", 0, {}};
      co_return absl::DataLossError("a piece does not match its digest");
    }
    received_ += piece.size();
    absl::Status written = co_await WriteData(driver_, file_, piece.data(), piece.size(), item.offset,
                                              piece.registered_index(), shared_->options().background);
    if (!written.ok()) co_return FailWrite(written);
    if (written_contents_ != nullptr) written_contents_->Add(item.offset, piece.bytes());
    written_ += piece.size();
    data_end_ = item.offset + piece.size();
    Arrived(item.offset, piece.size());
  }
  if (item.hole_length > 0 && !shared_->options().sparse) {
    absl::Status written = co_await WriteZeros(item.offset, item.hole_length);
    if (!written.ok()) co_return FailWrite(written);
    data_end_ = item.offset + item.hole_length;
  }
  Arrived(item.offset, item.hole_length);
  co_return absl::OkStatus();
}

void PieceWriter::CountBytes() {
  shared_->counters().bytes_received.fetch_add(std::exchange(received_, 0), std::memory_order_relaxed);
  shared_->counters().bytes_written.fetch_add(std::exchange(written_, 0), std::memory_order_relaxed);
}

}  // namespace uringsync
