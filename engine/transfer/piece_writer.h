// PieceWriter: takes the answer to one request, checks every piece against its digest and writes it into a staged file.
//
// Thread rule: one shard, one request.
// Use:  PieceWriter writer(driver, shared, {staged.fd()});
//       absl::Status fetched = co_await source->Fetch(request, &writer);
//       if (fetched.ok() && writer.complete()) ...
#pragma once

#include <cstdint>
#include <optional>

#include "engine/fs/direct_io.h"
#include "engine/ring/driver.h"
#include "engine/transfer/failure.h"
#include "engine/transfer/piece.h"
#include "engine/transfer/receive_shared.h"
#include "engine/transfer/written_contents.h"

namespace uringsync {

class PieceWriter final : public ReplySink {
 public:
  // `file.fd` may be -1 for a request without contents; `begin` is where the request's range begins. `written`, if not
  // null, hears of every piece.
  PieceWriter(Driver* driver, ReceiveShared* shared, DataFile file, uint64_t begin = 0,
              WrittenContents* written = nullptr)
      : driver_(driver), shared_(shared), file_(file), written_contents_(written), whole_until_(begin) {}

  // Refuses (and remembers why) after a digest mismatch, a failed write, and once the session has stopped.
  Task<absl::Status> OnItem(ReplyItem item, Piece piece) override;

  // The whole answer arrived and says kOk.
  bool complete() const { return ended_ && status_ == ReplyStatus::kOk && !failure_.has_value(); }
  // The source says that the object is not the one asked for any more.
  bool changed() const { return ended_ && status_ == ReplyStatus::kChanged; }
  bool mismatch() const { return mismatch_; }
  // Why it is not complete, where that is known here.
  const std::optional<TransferFailure>& failure() const { return failure_; }
  const std::optional<CurrentFile>& current() const { return current_; }
  std::optional<XattrList>& xattrs() { return xattrs_; }
  // Adds what arrived to the session's totals; once, after success.
  void CountBytes();
  // Content bytes that arrived and were not counted yet.
  uint64_t received_bytes() const { return received_; }
  // End of the last data written.
  uint64_t data_end() const { return data_end_; }
  // Up to where the range is in the file without a gap.
  uint64_t whole_until() const { return whole_until_; }

 private:
  Task<absl::Status> WriteZeros(uint64_t offset, uint64_t length);
  absl::Status FailWrite(const absl::Status& error);
  void TakeSourceFailure(const ReplyItem& item);
  void Arrived(uint64_t offset, uint64_t length);

  Driver* const driver_;
  ReceiveShared* const shared_;
  const DataFile file_;
  WrittenContents* const written_contents_;
  bool ended_ = false;
  bool mismatch_ = false;
  ReplyStatus status_ = ReplyStatus::kOk;
  std::optional<TransferFailure> failure_;
  std::optional<CurrentFile> current_;
  std::optional<XattrList> xattrs_;
  uint64_t received_ = 0;
  uint64_t written_ = 0;
  uint64_t data_end_ = 0;
  uint64_t whole_until_;
};

}  // namespace uringsync
