#include "agent/manifest_sender.h"

#include <memory>
#include <string>
#include <utility>

#include "agent/join_scope.h"
#include "engine/base/errno_status.h"
#include "proto/wire_size.h"

namespace uringsync {
ManifestSender::ManifestSender(Runtime* runtime, DirectoryPtr root, ScanOptions options, SessionOutbox* outbox)
    : runtime_(runtime), root_(std::move(root)), options_(std::move(options)), outbox_(outbox) {
  options_.cancel = cancel_.token();
}

std::vector<DirectoryBatch> SplitForWire(DirectoryBatch batch) {
  std::vector<DirectoryBatch> parts;
  size_t total = 0;
  for (const Entry& entry : batch.entries) total += WireBytesBound(entry);
  if (total <= kTargetBatchBytes) {
    parts.push_back(std::move(batch));
    return parts;
  }
  size_t bytes = kTargetBatchBytes;
  for (Entry& entry : batch.entries) {
    const size_t more = WireBytesBound(entry);
    if (parts.empty() || bytes + more > kTargetBatchBytes) {
      DirectoryBatch part{batch.directory, batch.self, {}, false, batch.error};
      parts.push_back(std::move(part));
      bytes = 0;
    }
    parts.back().entries.push_back(std::move(entry));
    bytes += more;
  }
  parts.back().last = batch.last;
  return parts;
}

ManifestSender::~ManifestSender() { Stop(); }

absl::Status ManifestSender::Start() {
  if (started_) return absl::FailedPreconditionError("the manifest was started before");
  started_ = true;
  running_.SpawnOn(&runtime_->Next(), Run());
  return absl::OkStatus();
}

void ManifestSender::AddCredit(uint32_t batches) {
  std::lock_guard lock(mutex_);
  credit_ += batches;
  if (waiter_ && credit_ > 0) {
    --credit_;
    waiter_executor_->Post(std::exchange(waiter_, nullptr));
  }
}

void ManifestSender::Stop() {
  if (stopped_) return;
  stopped_ = true;
  cancel_.Cancel(absl::CancelledError("the session is over"));
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (waiter_) waiter_executor_->Post(std::exchange(waiter_, nullptr));
  }
  if (started_) BlockOn(&runtime_->shard(0), JoinScope(&running_));
}

bool ManifestSender::CreditAwaiter::await_suspend(std::coroutine_handle<> handle) {
  std::lock_guard lock(sender->mutex_);
  if (sender->stopping_) return false;
  if (sender->credit_ > 0) {
    --sender->credit_;
    return false;
  }
  sender->waiter_ = handle;
  sender->waiter_executor_ = Executor::Current();
  return true;
}

Task<void> ManifestSender::Run() {
  if (root_ == nullptr) {
    outbox_->Push(ManifestEnd{});
    co_return;
  }
  std::unique_ptr<ManifestScanner> scanner = ManifestScanner::Start(runtime_, root_, options_);
  co_await Send(scanner.get());
  co_await scanner->Close();
}

Task<void> ManifestSender::Send(ManifestScanner* scanner) {
  while (true) {
    absl::StatusOr<std::optional<DirectoryBatch>> batch = co_await scanner->Next();
    if (options_.cancel.cancelled()) co_return;
    if (!batch.ok()) {
      outbox_->Fail(ErrorKind::kFileIo, "the scan failed: " + std::string(ToStd(batch.status().message())));
      co_return;
    }
    if (!batch->has_value()) break;
    std::vector<DirectoryBatch> parts = SplitForWire(**std::move(batch));
    for (DirectoryBatch& part : parts) {
      co_await CreditAwaiter{this};
      SemaphoreUnits slot = co_await outbox_->manifest_slots()->Acquire(1);
      if (options_.cancel.cancelled()) co_return;
      outbox_->PushManifest(std::move(part), std::move(slot));
    }
  }
  const ScanTotals& totals = scanner->totals();
  outbox_->Push(ManifestEnd{totals.directories, totals.entries, totals.errors, totals.strays_removed});
}

}  // namespace uringsync
