// ActionWindow: sends the plan in batches, keeps what is under way bounded, and tells the outcome of each action
// truthfully.
//
// An action is "done" when the destination has returned its batch and no problem named it; never earlier. What is under
// way is bounded by kMaxBatches batches; the planning thread waits for room, the receiving thread makes it.
//
// Thread rule: Add, Flush, Finish on the planning thread; OnProgress, OnDone on the thread that receives from the
// destination; Stop on any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "coordinator/core/run_events.h"

namespace uringsync {

// How actions ended, as the run's outcome counts them.
struct ActionTotals {
  uint64_t done = 0;
  uint64_t failed = 0;
  uint64_t skipped = 0;
  uint64_t durable = 0;   // of those that are done: known to be on disk
  ProblemTally problems;  // reported by the destination
};

class ActionWindow {
 public:
  // Sent and not returned: what a long way holds, and what the slowest of it keeps from being returned in order. Beyond
  // kFewBatches long paths and names count by their bytes.
  static constexpr size_t kMaxBatches = 128;
  static constexpr size_t kFewBatches = 32;
  static constexpr size_t kManyBytes = size_t{8} << 20;
  static constexpr size_t kBatchActions = 256;  // of one batch, at most
  // Actions that did not end well, as far as they are remembered one by one.
  static constexpr size_t kMaxUnfinished = 65536;

  // `send` sends to the destination agent.
  ActionWindow(RunEvents* events, std::function<absl::Status(const ClientMessage&)> send)
      : events_(events), send_(std::move(send)) {}

  // Queues one action; sends a batch when one is full or the phase changes.
  absl::Status Add(PlannedAction planned);
  // Sends what is queued.
  absl::Status Flush();
  // Flush, and wait until everything that was sent has come back.
  absl::Status Drain();
  // Flush, FinishApply, and wait for ApplyDone.
  absl::StatusOr<ApplyDone> Finish();

  // After Finish: the action ended well. False for all once more than kMaxUnfinished did not.
  bool Reached(uint64_t id) const;

  // InvalidArgument: the agent returns what it was never given.
  absl::Status OnProgress(ApplyProgress progress);
  absl::Status OnDone(ApplyDone done);
  // Ends every wait with Cancelled.
  void Stop();
  ActionTotals totals() const;

 private:
  struct Batch {
    uint64_t sequence = 0;
    uint64_t first_id = 0;
    size_t bytes = 0;
    std::vector<PlannedAction> actions;   // there once `filled`
    std::vector<ActionOutcome> outcomes;  // one for each action
    bool filled = false;                  // Send has returned
  };
  // Under the lock.
  bool HasRoom() const {
    return under_way_.size() < kFewBatches || (under_way_.size() < kMaxBatches && under_way_bytes_ < kManyBytes);
  }
  // Removes what has come back, oldest first, and counts it. Under the lock.
  std::vector<ActionsEvent> TakeReturned();
  // What the destination has said to be on disk since the last call, of what was taken. Under the lock.
  std::optional<DurableEvent> TakeDurable();
  void Mark(uint64_t id, ActionOutcome outcome);
  void Report(std::vector<ActionsEvent> events, std::optional<DurableEvent> durable);

  RunEvents* const events_;
  const std::function<absl::Status(const ClientMessage&)> send_;

  // Planning thread: the batch that is being filled.
  Phase phase_ = Phase::kCreate;
  std::vector<PlannedAction> pending_;
  size_t pending_bytes_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> under_way_;
  size_t under_way_bytes_ = 0;
  uint64_t sent_sequence_ = 0;
  uint64_t sent_actions_ = 0;
  uint64_t returned_sequence_ = 0;
  uint64_t durable_sequence_ = 0;
  // A batch that was taken and is not known to be on disk.
  struct Settled {
    uint64_t sequence = 0;
    uint64_t last_id = 0;
    uint64_t done = 0;
  };
  std::deque<Settled> settled_;  // 24 bytes each
  ActionTotals totals_;
  std::unordered_set<uint64_t> unfinished_;  // ids of failed and skipped ones, kMaxUnfinished + 1 at most
  std::optional<ApplyDone> done_;
  bool finishing_ = false;
  bool stopped_ = false;
};

}  // namespace uringsync
