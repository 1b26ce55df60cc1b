#include "engine/tree/scanner.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/spool.h"
#include "engine/fs/scratch_tree.h"
#include "engine/fs/state_name.h"
#include "engine/fs/syscalls.h"
#include "engine/tree/content_digests.h"
#include "engine/tree/directory_listing.h"
#include "engine/tree/scan_window.h"

namespace uringsync {

// How it runs: at most one loop per shard takes directories from the window and scans them. A loop ends when there is nothing to
// do; whoever makes work (a directory listed, a batch taken) starts the loops that sleep.
//
// Why it cannot deadlock: a directory that is not the head is scanned to its end without waiting for anybody (its result is bounded by
// the reservation that Pick made for it; one that turns out larger is put back until it is the head). So every loop but one always
// comes back. The one that scans the head waits only for the consumer to take batches of the head, which is exactly what the
// consumer takes next; and the head can always be picked, budget or not, by the first loop that comes back.
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
  static constexpr size_t kHeadBatches = 4;        // of the head that wait for the consumer
  static constexpr size_t kEntriesPerTurn = 128;   // looked at before other coroutines of the shard get a turn
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
    Entry self;
    std::vector<DirectoryBatch> batches;  // of a node ahead
    std::vector<std::string> children;    // of a node ahead
    std::unique_ptr<Spool> child_spool;   // of the head
    bool has_children = false;
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
  // Suspends until the head has something to take (consumer) or has room (the loop that scans the head), or the scan stopped.
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
  // False: the directory is too large to be read ahead and was put back.
  absl::StatusOr<bool> ReadNames(Job* job, DirectoryReader* reader, const struct statx& stat, SortedNames* names);
  bool Hidden(Job* job, const DirectoryItem& item, const struct statx& stat, std::vector<std::string>* strays);
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
  ScanWindow window_;                // everything from here on is guarded by mutex_
  std::vector<bool> loop_running_;   // by shard
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

Task<void> ManifestScanner::Impl::Loop(Shard* shard) {
  Tools tools(shard->driver(), options_.selection);
  while (true) {
    Job job;
    job.shard = shard;
    {
      std::lock_guard lock(mutex_);
      if (failure_.ok() && !closed_) job.node = window_.Pick();
      if (job.node == nullptr) {
        loop_running_[shard->index()] = false;
        co_return;
      }
      job.streaming = window_.IsHead(job.node);
      job.limit = job.node->charged;
      StartLoops();
    }
    co_await ScanNodeOn(&job, &tools);
    if (tools.looked_at >= kEntriesPerTurn) {
      tools.looked_at = 0;
      co_await Yield{};
    }
  }
}

absl::Status ManifestScanner::Impl::Open(Job* job, EntryReader* reader, struct statx* stat) {
  Driver* driver = job->shard->driver();
  job->self.name = job->node->path->name();
  job->self.type = FileType::kDirectory;
  US_ASSIGN_OR_RETURN(job->directory,
                      directories_.Open(driver, job->node->path, DirectoryAccess::kReadIfPermitted));
  reader->ReadDirectory(*job->directory, stat, &job->self);
  if (job->node->path->depth() == 0) root_device_.store(job->self.id.device);
  if (!job->directory->readable()) return ErrnoStatus(EACCES, "open directory");
  if (job->self.error != 0) return ErrnoStatus(job->self.error, "statx");
  // Somebody mounted here since the parent was listed.
  if (options_.one_file_system && job->self.id.device != root_device_.load()) return ErrnoStatus(EXDEV, "open directory");
  return absl::OkStatus();
}

bool ManifestScanner::Impl::Hidden(Job* job, const DirectoryItem& item, const struct statx& stat,
                                   std::vector<std::string>* strays) {
  if (IsStateName(item.name)) {
    const std::optional<uint64_t>& own = options_.remove_strays_but;
    if (own.has_value() && StateNameSession(item.name) != own) strays->emplace_back(item.name);
    return true;
  }
  if (item.name != "lost+found") return false;
  Driver* driver = job->shard->driver();
  struct statx found;
  const bool directory =
      item.type == DT_DIR ||
      (item.type == DT_UNKNOWN &&
       sys::Statx(driver, job->directory->fd(), "lost+found", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found) == 0 &&
       S_ISDIR(found.stx_mode));
  return directory && IsMountRoot(driver, job->directory->fd(), stat);
}

absl::StatusOr<bool> ManifestScanner::Impl::ReadNames(Job* job, DirectoryReader* reader, const struct statx& stat,
                                                              SortedNames* names) {
  Driver* driver = job->shard->driver();
  reader->Restart(job->directory->fd());
  DirectoryItem item;
  std::vector<std::string> strays;  // removed after the reading: a file system may skip entries otherwise
  while (true) {
    const int more = reader->Next(&item);
    if (more < 0) return ErrnoStatus(-more, "getdents");
    if (more == 0) break;
    if (Hidden(job, item, stat, &strays)) continue;
    // The spool's failure is the scan's, not this directory's.
    const absl::Status added = names->Add(item.name, item.type);
    if (!added.ok()) {
      Stop(added);
      return added;
    }
    if (!job->streaming && names->size() > job->limit) {
      std::lock_guard lock(mutex_);
      if (!window_.IsHead(job->node)) {
        if (!job->node->abandoned) {
          window_.Release(job->node);
          job->node->state = ScanNode::State::kWaiting;
          job->node->head_only = true;
        }
        return false;
      }
      window_.Release(job->node);
      job->streaming = true;
    }
    if (stopped()) return false;
  }
  for (const std::string& stray : strays) {
    if (RemoveStateTree(driver, job->directory->fd(), stray).ok()) strays_removed_.fetch_add(1);
  }
  const absl::Status finished = names->Finish();
  if (!finished.ok()) Stop(finished);
  US_RETURN_IF_ERROR(finished);
  return true;
}

DirectoryBatch ManifestScanner::Impl::MakeBatch(Job* job) const {
  DirectoryBatch batch;
  batch.self = job->self;
  return batch;
}

// Remembers a subdirectory that is to be scanned, or says in the entry why it is not.
absl::Status ManifestScanner::Impl::NoteChild(Job* job, Entry* entry) {
  if (entry->type != FileType::kDirectory || entry->error != 0) return absl::OkStatus();
  if (options_.one_file_system && entry->id.device != root_device_.load()) {
    entry->not_entered = true;
    return absl::OkStatus();
  }
  if (job->node->path->path_bytes() + 1 + entry->name.size() > kMaxRelPathBytes) {
    entry->error = ENAMETOOLONG;
    return absl::OkStatus();
  }
  job->has_children = true;
  if (job->streaming) return job->child_spool->Append(entry->name);
  job->children.push_back(entry->name);
  return absl::OkStatus();
}

Task<void> ManifestScanner::Impl::ReadChunk(Job* job, Tools* tools, std::vector<Entry>* entries) {
  const NameList& names = tools->chunk;
  entries->reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    if (stopped()) co_return;
    Entry& entry = entries->emplace_back();
    if (!tools->entries.Read(job->directory->fd(), names.c_str(i), names.name(i).size(), names.type(i), &entry)) {
      entries->pop_back();
      continue;
    }
    const absl::Status noted = NoteChild(job, &entry);
    if (!noted.ok()) Stop(noted);
    if (++tools->looked_at >= kEntriesPerTurn) {
      tools->looked_at = 0;
      co_await Yield{};
    }
  }
  if (options_.checksum) co_await AddContentDigests(job->shard, job->directory->fd(), entries, options_.cancel);
}

// Hands a batch over: at once for the head (waiting for room), with the rest of the directory otherwise.
Task<void> ManifestScanner::Impl::Emit(Job* job, DirectoryBatch batch) {
  if (!job->streaming) {
    job->batches.push_back(std::move(batch));
    co_return;
  }
  if (batch.last) {
    // Goes out together with the subdirectories, in Finish: the head must not be popped before they are in their place.
    job->batches.push_back(std::move(batch));
    co_return;
  }
  co_await WaitAwaiter{this, /*consumer=*/false};
  std::lock_guard lock(mutex_);
  job->node->batches.push_back(std::move(batch));
  consumer_.Wake();
}

void ManifestScanner::Impl::Finish(Job* job) {
  if (job->has_children) directories_.Keep(job->node->path, job->directory);
  Driver* driver = job->shard->driver();
  std::lock_guard lock(mutex_);
  if (!failure_.ok() || job->node->abandoned) return;
  ScanNode& node = *job->node;
  if (!job->streaming) {
    size_t entries = 1;
    for (const DirectoryBatch& batch : job->batches) entries += batch.entries.size();
    window_.Charge(job->node, entries);
  }
  for (DirectoryBatch& batch : job->batches) node.batches.push_back(std::move(batch));
  node.state = ScanNode::State::kComplete;
  const absl::Status inserted = job->streaming ? window_.InsertChildrenOfHead(driver, *job->child_spool)
                                               : window_.InsertChildren(driver, job->node, job->children);
  if (!inserted.ok()) return StopLocked(inserted);
  if (window_.IsHead(job->node)) consumer_.Wake();
  StartLoops();
}

void ManifestScanner::Impl::FinishFailed(Job* job, int error) {
  DirectoryBatch batch = MakeBatch(job);
  batch.error = error;
  if (job->streaming && job->child_spool == nullptr)
    job->child_spool = std::make_unique<Spool>(job->shard->driver(), SpoolOptions{});
  job->batches.push_back(std::move(batch));
  Finish(job);
}

Task<void> ManifestScanner::Impl::ScanNodeOn(Job* job, Tools* tools) {
  struct statx stat = {};
  absl::Status opened = Open(job, &tools->entries, &stat);
  for (int tries = 1; IsOutOfDescriptors(StatusErrno(opened)) && tries <= kMaxDescriptorTries && !stopped(); ++tries) {
    directories_.CloseKept();
    co_await AwaitDescriptor(job->shard->driver());
    opened = Open(job, &tools->entries, &stat);
  }
  ++tools->looked_at;
  if (!opened.ok()) {
    FinishFailed(job, StatusErrno(opened));
    co_return;
  }
  SortedNames names(job->shard->driver(), options_.spool_directory, options_.names_in_memory);
  const absl::StatusOr<bool> read = ReadNames(job, &tools->names, stat, &names);
  if (!read.ok()) {
    // Names of a listing that broke off are not shown: half a directory looks like deletions.
    FinishFailed(job, StatusErrno(read.status()) != 0 ? StatusErrno(read.status()) : EIO);
    co_return;
  }
  if (!*read) co_return;
  if (job->streaming)
    job->child_spool = std::make_unique<Spool>(
        job->shard->driver(), SpoolOptions{.memory_bytes = kChildSpoolBytes, .directory = options_.spool_directory});
  uint64_t taken = 0;
  while (true) {
    const absl::Status next = names.Take(kBatchEntries, &tools->chunk);
    if (!next.ok()) Stop(next);
    if (stopped()) co_return;
    taken += tools->chunk.size();
    DirectoryBatch batch = MakeBatch(job);
    co_await ReadChunk(job, tools, &batch.entries);
    if (stopped()) co_return;
    // A short chunk is the last one; a full last chunk is followed by an empty one unless the count is known.
    batch.last = tools->chunk.size() < kBatchEntries || (!names.spilled() && taken == names.size());
    const bool last = batch.last;
    co_await Emit(job, std::move(batch));
    if (last) break;
  }
  Finish(job);
}

// In this order a directory's parent is the directory before it or one of that one's ancestors: few steps up, one down. Joining
// all components anew would make a deep tree quadratic in a large constant.
const RelPath& ManifestScanner::Impl::PathOf(const PathNodePtr& node) {
  constexpr uint32_t kMaxStepsUp = 16;
  if (node == last_node_) return last_path_;
  const uint32_t above = node->depth() > 0 ? node->depth() - 1 : 0;
  if (last_node_ != nullptr && node->depth() > 0 && last_node_->depth() - above <= kMaxStepsUp) {
    for (uint32_t up = last_node_->depth() - above; up > 0; --up) last_path_ = last_path_.Parent();
    last_path_ = last_path_.Child(node->name());
  } else {
    last_path_ = node->path();
  }
  last_node_ = node;
  return last_path_;
}

Task<absl::StatusOr<std::optional<DirectoryBatch>>> ManifestScanner::Impl::Next() {
  while (true) {
    co_await WaitAwaiter{this, /*consumer=*/true};
    std::optional<DirectoryBatch> batch;
    PathNodePtr node;
    {
      std::lock_guard lock(mutex_);
      if (!failure_.ok()) co_return failure_;
      const ScanNodePtr head = window_.head();
      if (head == nullptr) co_return std::nullopt;
      if (head->batches.empty()) continue;
      node = head->path;
      batch = std::move(head->batches.front());
      head->batches.pop_front();
      producer_.Wake();
      if (head->batches.empty() && head->state == ScanNode::State::kComplete) {
        // Shard::Current() and not the scanning shard: the stack works with the driver of whoever calls.
        StopLocked(window_.PopHead(Shard::Current()->driver()));
        StartLoops();
      }
    }
    batch->directory = PathOf(node);
    totals_.entries += batch->entries.size();
    totals_.directories += batch->last ? 1 : 0;
    totals_.errors += batch->error != 0 ? 1 : 0;
    for (const Entry& entry : batch->entries) totals_.errors += entry.error != 0 ? 1 : 0;
    totals_.strays_removed = strays_removed_.load();
    co_return batch;
  }
}

Task<void> ManifestScanner::Impl::Close() {
  {
    std::lock_guard lock(mutex_);
    StopLocked(absl::CancelledError("the scan was closed"));
    closed_ = true;
  }
  co_await scope_.Join();
  on_cancel_ = CancelToken::Registration();
}

ManifestScanner::ManifestScanner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ManifestScanner::~ManifestScanner() = default;

std::unique_ptr<ManifestScanner> ManifestScanner::Start(Runtime* runtime, DirectoryPtr root, ScanOptions options) {
  auto impl = std::make_unique<Impl>(runtime, std::move(root), std::move(options));
  impl->Begin();
  return std::unique_ptr<ManifestScanner>(new ManifestScanner(std::move(impl)));
}

Task<absl::StatusOr<std::optional<DirectoryBatch>>> ManifestScanner::Next() { return impl_->Next(); }
Task<void> ManifestScanner::Close() { return impl_->Close(); }
const ScanTotals& ManifestScanner::totals() const { return impl_->totals(); }

}  // namespace uringsync
