// ManifestSender: one session's manifest, from the scanner to the control stream, under the coordinator's credit.
//
// Thread rule: Start, AddCredit and Stop on the session's thread; the work runs on a shard.
// Use:  ManifestSender sender(runtime, root, options, &outbox);  sender.Start();  sender.AddCredit(n);  ...  sender.Stop();
#pragma once

#include <coroutine>
#include <cstdint>
#include <mutex>
#include <vector>

#include "agent/session_outbox.h"
#include "engine/coro/cancel.h"
#include "engine/coro/scope.h"
#include "engine/fs/directory.h"
#include "engine/ring/runtime.h"
#include "engine/tree/scanner.h"

namespace uringsync {

// `batch` in parts of at most kTargetBatchBytes on the wire (long link targets make big entries), in order; only the last one
// keeps `last`.
std::vector<DirectoryBatch> SplitForWire(DirectoryBatch batch);

class ManifestSender {
 public:
  // `root` null: there is no tree, and the manifest is empty.
  ManifestSender(Runtime* runtime, DirectoryPtr root, ScanOptions options, SessionOutbox* outbox);
  ~ManifestSender();

  // FailedPrecondition when it was started before.
  absl::Status Start();
  void AddCredit(uint32_t batches);
  // Ends the scan and waits until it has ended. Idempotent.
  void Stop();

 private:
  struct CreditAwaiter {
    ManifestSender* sender;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    void await_resume() const noexcept {}
  };
  Task<void> Run();
  Task<void> Send(ManifestScanner* scanner);

  Runtime* const runtime_;
  const DirectoryPtr root_;
  ScanOptions options_;
  SessionOutbox* const outbox_;
  CancelSource cancel_;
  Scope running_;
  bool started_ = false;
  bool stopped_ = false;
  std::mutex mutex_;
  uint64_t credit_ = 0;
  bool stopping_ = false;
  std::coroutine_handle<> waiter_;
  Executor* waiter_executor_ = nullptr;
};

}  // namespace uringsync
