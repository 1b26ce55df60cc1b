// ApplyReport: what the applying coroutines of all shards tell, and what the control stream's writer takes.
//
// Results are never held back by the stream: they collect here and leave in ApplyProgress messages. What collects is
// bounded by the actions that are outstanding, and those by the credit of the coordinator.
//
// Thread rule: every method from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "proto/messages.h"

namespace uringsync {

// One batch of actions until its last action has ended.
struct BatchState {
  uint64_t sequence = 0;
  std::atomic<size_t> remaining{0};
  std::atomic<bool> ended{false};
};
using BatchPtr = std::shared_ptr<BatchState>;

class ApplyReport {
 public:
  // Problems of one ApplyProgress.
  static constexpr size_t kMaxProblemsPerMessage = 1024;

  // `on_news` is called, from any thread, whenever credit can be returned. It must not block.
  // `ends_durably`: an action ends well only when what it did is on disk.
  explicit ApplyReport(std::function<void()> on_news, bool ends_durably = false)
      : on_news_(std::move(on_news)), ends_durably_(ends_durably) {}

  // Batches begin in order of sequence.
  BatchPtr BeginBatch(uint64_t sequence, size_t actions);
  // One action of `batch` ended.
  void ActionDone(const BatchPtr& batch);
  void AddProblem(Problem problem);
  void AddSkipped(uint64_t action);

  // All that batches up to `sequence` did is on disk.
  void SetDurable(uint64_t sequence);

  // True when Take would return credit, or tell that more is durable: worth a message at once. Problems travel with the
  // next one.
  bool has_credit() const;
  // Moves what is new into `progress` (completed_sequence, durable_sequence, problems, skipped_actions). True when more
  // is waiting.
  bool Take(ApplyProgress* progress);

  uint64_t actions_done() const { return actions_done_.load(std::memory_order_relaxed); }
  uint64_t completed_sequence() const;
  uint64_t durable_sequence() const;

 private:
  void EndBatches();

  const std::function<void()> on_news_;
  const bool ends_durably_;
  std::atomic<uint64_t> actions_done_{0};
  mutable std::mutex mutex_;
  std::deque<BatchPtr> batches_;  // begun, not yet completed in order
  uint64_t completed_sequence_ = 0;
  uint64_t told_sequence_ = 0;
  uint64_t durable_sequence_ = 0;
  uint64_t told_durable_ = 0;
  std::deque<Problem> problems_;
  std::deque<uint64_t> skipped_;
};

}  // namespace uringsync
