#include "engine/transfer/delta_fetch.h"

#include <algorithm>
#include <utility>

#include "engine/base/digest.h"
#include "engine/base/errno_status.h"
#include "engine/transfer/signature_request.h"

namespace uringsync {
namespace {

constexpr int kMaxDamagedTries = 4;
constexpr int kMaxBrokenTries = 100;

// Takes the answer to one request into memory.
class MemorySink final : public ReplySink {
 public:
  // Contents of a range that begins at `offset`.
  MemorySink(ReceiveShared* shared, uint64_t offset, std::span<std::byte> out)
      : shared_(shared), offset_(offset), out_(out) {}
  // A payload of at most `limit` bytes.
  MemorySink(ReceiveShared* shared, SignatureBytes* payload, uint64_t limit)
      : shared_(shared), payload_(payload), limit_(limit) {}

  Task<absl::Status> OnItem(ReplyItem item, Piece piece) override {
    if (shared_->stopped()) co_return absl::CancelledError("the session is over");
    ended_ = ended_ || item.end;
    if (item.status != ReplyStatus::kOk) {
      failure_ = SourceFailure(item.status, item.operation, item.error);
      current_ = item.current;
      co_return absl::OkStatus();
    }
    if (item.data_length > 0 &&
        (piece.size() != item.data_length || Xxh128(piece.bytes(), shared_->options().digest_seed) != item.digest)) {
      damaged_ = true;
      co_return absl::DataLossError("a piece does not match its digest");
    }
    co_return payload_ != nullptr ? TakePayload(piece) : TakeContents(item, piece);
  }

  bool complete() const { return ended_ && !failure_.has_value() && !damaged_ && missing_ == 0; }
  bool damaged() const { return damaged_; }
  std::optional<TransferFailure>& failure() { return failure_; }
  const std::optional<CurrentFile>& current() const { return current_; }
  void Expect(uint64_t bytes) { missing_ = bytes; }

 private:
  absl::Status TakePayload(const Piece& piece) {
    if (payload_->size() + piece.size() > limit_) return absl::DataLossError("a signature is longer than asked for");
    payload_->insert(payload_->end(), piece.bytes().begin(), piece.bytes().end());
    return absl::OkStatus();
  }
  absl::Status TakeContents(const ReplyItem& item, const Piece& piece) {
    const uint64_t length = std::max<uint64_t>(piece.size(), item.hole_length);
    if (length == 0) return absl::OkStatus();
    if (item.offset < offset_ || item.offset - offset_ > out_.size() ||
        length > out_.size() - (item.offset - offset_)) {
      return absl::DataLossError("an answer lies outside of what was asked for");
    }
    std::span<std::byte> part = out_.subspan(item.offset - offset_, length);
    if (piece.size() > 0) {
      std::copy(piece.bytes().begin(), piece.bytes().end(), part.begin());
    } else {
      std::fill(part.begin(), part.end(), std::byte{0});
    }
    missing_ -= std::min(missing_, length);
    return absl::OkStatus();
  }

  ReceiveShared* const shared_;
  const uint64_t offset_ = 0;
  const std::span<std::byte> out_;
  SignatureBytes* const payload_ = nullptr;
  const uint64_t limit_ = 0;
  uint64_t missing_ = 0;
  bool ended_ = false;
  bool damaged_ = false;
  std::optional<TransferFailure> failure_;
  std::optional<CurrentFile> current_;
};

struct Tries {
  int damaged = 0;
  int broken = 0;
};

// True: ask again. False: `outcome` says how it ended.
bool AskAgain(const absl::Status& fetched, MemorySink* sink, ReceiveShared* shared, Tries* tries,
              FetchOutcome* outcome) {
  if (fetched.ok() && sink->complete()) return false;
  outcome->current = sink->current();
  if (sink->failure().has_value()) {
    outcome->failure = std::move(sink->failure());
    return false;
  }
  bool again = false;
  if (sink->damaged() || fetched.ok() || absl::IsDataLoss(fetched)) {
    outcome->failure = IntegrityFailure(std::string(ToStd(fetched.message())));
    again = ++tries->damaged < kMaxDamagedTries;
  } else {
    outcome->failure = FetchFailure(fetched);
    again = absl::IsUnavailable(fetched) && ++tries->broken < kMaxBrokenTries;
  }
  if (!again || shared->stopped()) return false;
  shared->counters().retries.fetch_add(1, std::memory_order_relaxed);
  outcome->failure.reset();
  return true;
}

}  // namespace

TransferFailure IntegrityFailure(std::string detail) {
  return TransferFailure{FailureKind::kIntegrity, true, "digest", 0, std::move(detail)};
}

Task<FetchOutcome> FetchBytes(ContentSource* source, ReceiveShared* shared, FileRequest request,
                              std::span<std::byte> out) {
  FetchOutcome outcome;
  Tries tries;
  while (true) {
    MemorySink sink(shared, request.offset, out);
    sink.Expect(request.length);
    absl::Status fetched = co_await source->Fetch(request, &sink);
    if (!AskAgain(fetched, &sink, shared, &tries, &outcome)) co_return outcome;
  }
}

Task<FetchOutcome> FetchSignature(ContentSource* source, ReceiveShared* shared, FileRequest request,
                                  SignatureBytes* out) {
  FetchOutcome outcome;
  Tries tries;
  while (true) {
    out->clear();
    MemorySink sink(shared, out, AnswerBytes(request));
    absl::Status fetched = co_await source->Fetch(request, &sink);
    if (!AskAgain(fetched, &sink, shared, &tries, &outcome)) co_return outcome;
  }
}

}  // namespace uringsync
