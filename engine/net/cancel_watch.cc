#include "engine/net/cancel_watch.h"

#include <utility>

namespace uringsync {

CancelWatch::CancelWatch(const CancelToken& cancel) : cancel_(cancel), shard_(Executor::Current()) {
  registration_ = cancel_.OnCancel([this] { interrupts_.SpawnOn(shard_, Interrupt()); });
}

void CancelWatch::Watch(Stream* stream) {
  Rest();
  stream_ = stream;
  // The interrupt may have come while nothing was watched.
  if (stream != nullptr && cancel_.cancelled()) stream->Shutdown();
}

void CancelWatch::Watch(Driver* driver, Op* op) {
  Rest();
  driver_ = driver;
  op_ = op;
}

void CancelWatch::Rest() {
  stream_ = nullptr;
  driver_ = nullptr;
  op_ = nullptr;
}

absl::Status CancelWatch::Blame(absl::Status result) const {
  if (result.ok()) return result;
  absl::Status cancelled = cancel_.status();
  return cancelled.ok() ? std::move(result) : std::move(cancelled);
}

Task<void> CancelWatch::Interrupt() {
  if (stream_ != nullptr) stream_->Shutdown();
  if (op_ != nullptr) driver_->Cancel(op_);
  co_return;
}

Task<void> CancelWatch::End() {
  Rest();
  registration_ = CancelToken::Registration();
  co_await interrupts_.Join();
}

}  // namespace uringsync
