#include "engine/tree/scanner.h"

#include <utility>

#include "engine/base/errno_status.h"
#include "engine/tree/scanner_impl.h"

namespace uringsync {

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

// In this order a directory's parent is the directory before it or one of that one's ancestors: few steps up, one down.
// Joining all components anew would make a deep tree quadratic in a large constant.
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
    ScanNodePtr ended;
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
        ended = head;
        // Shard::Current() and not the scanning shard: the stack works with the driver of whoever calls.
        StopLocked(window_.PopHead(Shard::Current()->driver()));
        StartLoops();
      }
    }
    batch->directory = PathOf(node);
    if (ended != nullptr && ended->temporaries > 0) {
      if (totals_.temporaries == 0) totals_.first_temporary = batch->directory.Child(ended->first_temporary);
      totals_.temporaries += ended->temporaries;
    }
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

Task<absl::StatusOr<std::optional<DirectoryBatch>>> ManifestScanner::Next() {
  return impl_->Next();
}
Task<void> ManifestScanner::Close() {
  return impl_->Close();
}
const ScanTotals& ManifestScanner::totals() const {
  return impl_->totals();
}

}  // namespace uringsync
