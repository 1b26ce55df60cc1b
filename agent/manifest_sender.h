// ManifestSender: one session's manifest, from the scanner to the control stream, under the coordinator's credit.
//
// Thread rule: Start, AddCredit and Stop on the session's thread; the work runs on a shard.
// Use:  ManifestSender sender(runtime, root, options, &outbox);  sender.Start();  sender.AddCredit(n);  ...
// sender.Stop();
#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "agent/listing_folder.h"
#include "agent/session_outbox.h"
#include "engine/coro/cancel.h"
#include "engine/coro/scope.h"
#include "engine/fs/directory.h"
#include "engine/fs/tree_view.h"
#include "engine/ring/runtime.h"
#include "engine/tree/directory_lister.h"
#include "engine/tree/scanner.h"

namespace uringsync {

// Batches that a coordinator may be ready for at once.
constexpr uint64_t kMaxManifestCredit = uint64_t{1} << 20;

class ManifestSender {
 public:
  // `root` null: there is no tree, and the manifest is empty.
  // Folded listings travel together, so many or what came in so long.
  static constexpr size_t kGroupListings = 32;
  static_assert(kGroupListings <= kMaxFoldedGroup);
  static constexpr size_t kGroupBytes = size_t{128} << 10;
  static constexpr std::chrono::milliseconds kGroupTime{20};

  ManifestSender(Runtime* runtime, DirectoryPtr root, ScanOptions options, SessionOutbox* outbox);
  ~ManifestSender();

  // Before Start: the manifest is the view's.
  void UseView(std::shared_ptr<const TreeView> view) { view_ = std::move(view); }
  // Before Start: temporaries of dead sessions that went without a scan; told with those that the scan removes.
  void CountStrays(uint64_t removed) { strays_removed_ = removed; }

  // FailedPrecondition when it was started before. With `start.fold` listings travel as digests where they can, with
  // `start.only` come just those directories.
  absl::Status Start(const StartManifest& start);
  // InvalidArgument beyond kMaxManifestCredit: of a coordinator that gives credit without end.
  absl::Status AddCredit(uint64_t batches);
  // Sends or forgets the entries of folded listings. InvalidArgument for verdicts on what was not sent.
  absl::Status Judge(const ListingVerdicts& verdicts);
  // Ends the scan and waits until it has ended. Idempotent.
  void Stop();

 private:
  // Waits for credit, or for room in the window of folded listings, where `listing` is then kept.
  struct AdmissionAwaiter {
    ManifestSender* sender;
    FoldedListing* listing;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    void await_resume() const noexcept {}
  };
  bool TryAdmit();
  void WakeIfAdmitted();
  Task<void> Run();
  Task<void> Send(ManifestProducer* scanner);
  // The directories of `only` alone, one after the other.
  Task<void> SendOnly();
  Task<void> SendOne(DirectoryLister* lister, size_t place);
  void NoteDirectories(const RelPath& directory, std::vector<Entry>* entries);
  void SendEnd();
  void NoteTemporaries(const RelPath& directory, const std::vector<std::string>& names);
  Task<void> SendListing(DirectoryBatch batch);
  Task<void> SendPlain(DirectoryBatch batch);
  Task<void> PushInSlot(AgentMessage message);
  // Sends the folded listings that were collected.
  Task<void> Flush();
  bool HasRoom(const FoldedListing& listing);

  Runtime* const runtime_;
  const DirectoryPtr root_;
  std::shared_ptr<const TreeView> view_;
  ScanOptions options_;
  SessionOutbox* const outbox_;
  CancelSource cancel_;
  Scope running_;
  bool started_ = false;
  bool stopped_ = false;
  std::optional<ListingBuilder> builder_;  // of the sending coroutine, as is what follows
  std::optional<std::vector<RelPath>> only_;
  std::vector<bool> listed_;  // which of `only` are directories, as the listing of the one above says
  ScanTotals totals_;
  uint64_t strays_removed_ = 0;  // before the scan
  FoldedGroup group_;  // kept in the window already
  size_t group_bytes_ = 0;
  std::chrono::steady_clock::time_point group_since_;
  std::atomic<bool> folding_{false};
  std::mutex mutex_;  // guards what follows
  FoldWindow window_;
  FoldedListing* next_ = nullptr;  // what the waiting coroutine wants to keep; null: it wants credit
  uint64_t credit_ = 0;
  bool stopping_ = false;
  std::coroutine_handle<> waiter_;
  Executor* waiter_executor_ = nullptr;
};

}  // namespace uringsync
