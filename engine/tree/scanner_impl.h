// ManifestScanner::Impl: how a tree is scanned. Private to the scanner: scanner.cc runs the loops and hands batches
// out, scan_directory.cc scans one directory.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/coro/scope.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/spool.h"
#include "engine/tree/directory_listing.h"
#include "engine/tree/scan_window.h"
#include "engine/tree/scanner.h"

namespace uringsync {

// How it runs: at most one loop per shard takes directories from the window and scans them. A loop ends when there is
// nothing to do; whoever makes work (a directory listed, a batch taken) starts the loops that sleep.
//
// Why it cannot deadlock: a directory that is not the head is scanned to its end without waiting for anybody (its
// result is bounded by the reservation that Pick made for it; one that turns out larger is put back until it is the
// head). So every loop but one always comes back. The one that scans the head waits only for the consumer to take
// batches of the head, which is exactly what the consumer takes next; and the head can always be picked, budget or not,
// by the first loop that comes back.
class ManifestScanner::Impl {
 public:
  Impl(Runtime* runtime, DirectoryPtr root, ScanOptions options)
      : runtime_(runtime),
        options_(std::move(options)),
        directories_(std::move(root), DescriptorBudget::OfProcess(runtime->size()).scan_directories),
        window_(std::make_shared<PathNode>(nullptr, ""), WindowOptions(options_)),
        loop_running_(options_.shards > 0 ? std::min(options_.shards, runtime->size()) : runtime->size(), false) {}

  void Begin() {
    on_cancel_ = options_.cancel.OnCancel([this] { Stop(options_.cancel.status()); });
    std::lock_guard lock(mutex_);
    StartLoops();
  }

  ~Impl() {
    if (closed_) return;
    std::fputs("uringsync: a ManifestScanner was destroyed before it was closed\n", stderr);
    std::abort();
  }

  Task<absl::StatusOr<std::optional<DirectoryBatch>>> Next();
  Task<void> Close();
  const ScanTotals& totals() const { return totals_; }

 private:
  static constexpr size_t kHeadBatches = 4;       // of the head that wait for the consumer
  static constexpr size_t kEntriesPerTurn = 128;  // looked at before other coroutines of the shard get a turn
  static constexpr size_t kChildSpoolBytes = size_t{1} << 20;

  static ScanWindowOptions WindowOptions(const ScanOptions& options) {
    ScanWindowOptions window;
    window.spool_directory = options.spool_directory;
    window.window_nodes = std::max<size_t>(options.window_nodes, 4);
    window.read_ahead_entries = options.read_ahead_entries;
    window.directory_entries = std::min<size_t>(window.directory_entries, options.read_ahead_entries);
    return window;
  }

  // What one scan of a directory carries along.
  struct Job {
    Shard* shard = nullptr;
    ScanNodePtr node;
    bool streaming = false;  // the node is the head: batches go out one by one
    size_t limit = 0;        // names of a node ahead beyond which it has to wait until it is the head
    DirectoryPtr directory;
    std::optional<DirectoryFilter> filter;
    Entry self;
    std::vector<DirectoryBatch> batches;  // of a node ahead
    std::vector<std::string> children;    // of a node ahead
    std::unique_ptr<Spool> child_spool;   // of the head
    bool has_children = false;
    uint64_t temporaries = 0;  // as in ScanNode
    std::string first_temporary;
  };

  // Kept by a loop from directory to directory, for its buffers.
  struct Tools {
    Tools(Driver* driver, const MetadataSelection& selection) : entries(driver, selection), names(driver, -1) {}
    EntryReader entries;
    DirectoryReader names;
    NameList chunk;
    size_t looked_at = 0;  // since other coroutines of the shard had a turn
  };

  struct Waiter {
    std::coroutine_handle<> handle;
    Executor* executor = nullptr;
    void Wake() {
      if (handle) executor->Post(std::exchange(handle, nullptr));
    }
  };
  // Suspends until the head has something to take (consumer) or has room (the loop that scans the head), or the scan
  // stopped.
  struct WaitAwaiter {
    Impl* impl;
    bool consumer;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      std::lock_guard lock(impl->mutex_);
      const ScanNodePtr head = impl->window_.head();
      if (!impl->failure_.ok() || head == nullptr) return false;
      if (consumer ? !head->batches.empty() : head->batches.size() < kHeadBatches) return false;
      (consumer ? impl->consumer_ : impl->producer_) = {handle, Executor::Current()};
      return true;
    }
    void await_resume() const noexcept {}
  };

  void Stop(absl::Status reason) {
    std::lock_guard lock(mutex_);
    StopLocked(std::move(reason));
  }
  void StopLocked(absl::Status reason) {
    if (reason.ok() || !failure_.ok()) return;
    failure_ = std::move(reason);
    stopped_.store(true, std::memory_order_relaxed);
    consumer_.Wake();
    producer_.Wake();
  }
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  // Under the lock: starts sleeping loops while there is work for them.
  void StartLoops() {
    if (!failure_.ok() || closed_) return;
    for (size_t i = 0; i < loop_running_.size(); ++i) {
      if (loop_running_[i]) continue;
      if (!window_.HasWork()) return;
      loop_running_[i] = true;
      Shard& shard = runtime_->shard(i);
      scope_.SpawnOn(&shard, Loop(&shard));
    }
  }

  Task<void> Loop(Shard* shard);
  Task<void> ScanNodeOn(Job* job, Tools* tools);
  absl::Status Open(Job* job, EntryReader* reader, struct statx* stat);
  bool LeadsBack(Job* job);
  absl::StatusOr<DirectoryPtr> OpenNode(Driver* driver, const PathNodePtr& node);
  // False: the directory is too large to be read ahead and was put back.
  absl::Status RemoveStrays(const Job& job, const std::vector<std::string>& strays, bool empty_stray,
                            const struct statx& stat, SortedNames* names);
  absl::StatusOr<bool> ReadNames(Job* job, Tools* tools, const struct statx& stat, SortedNames* names);
  absl::Status EnterFilter(Job* job);
  bool LeftOut(Job* job, EntryReader* reader, const DirectoryItem& item);
  bool Hidden(Job* job, const DirectoryItem& item, const struct statx& stat, std::vector<std::string>* strays);
  // Of a temporary by its name, at a source: whether it is left out, which is counted.
  bool LeavesTemporaryOut(Job* job, Tools* tools, const DirectoryItem& item);
  Task<void> ReadChunk(Job* job, Tools* tools, std::vector<Entry>* entries);
  absl::Status NoteChild(Job* job, Entry* entry);
  Task<void> Emit(Job* job, DirectoryBatch batch);
  void Finish(Job* job);
  void FinishFailed(Job* job, int error);
  // All but the path, which may be long and is only built when the consumer takes the batch.
  DirectoryBatch MakeBatch(Job* job) const;
  const RelPath& PathOf(const PathNodePtr& node);

  Runtime* const runtime_;
  const ScanOptions options_;
  OpenDirectories directories_;
  std::atomic<bool> stopped_{false};
  std::atomic<uint64_t> strays_removed_{0};
  std::atomic<uint64_t> root_device_{0};  // written by the root's scan before any other starts

  std::mutex mutex_;
  ScanWindow window_;               // everything from here on is guarded by mutex_
  std::vector<bool> loop_running_;  // by shard
  absl::Status failure_;
  bool closed_ = false;
  Waiter consumer_;
  Waiter producer_;

  ScanTotals totals_;  // the consumer's, as are the node and path of the batch before
  PathNodePtr last_node_;
  RelPath last_path_;
  Scope scope_;
  CancelToken::Registration on_cancel_;  // last: its end waits for a callback that uses the rest
};

}  // namespace uringsync
