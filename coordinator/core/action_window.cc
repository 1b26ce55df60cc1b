#include "coordinator/core/action_window.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "proto/wire_size.h"

namespace uringsync {

absl::Status ActionWindow::Add(PlannedAction planned) {
  const size_t bytes = WireBytesBound(planned.action);
  const bool full = pending_.size() >= kBatchActions || pending_bytes_ + bytes > kTargetBatchBytes;
  if (!pending_.empty() && (full || planned.phase != phase_)) US_RETURN_IF_ERROR(Flush());
  phase_ = planned.phase;
  pending_bytes_ += bytes;
  pending_.push_back(std::move(planned));
  return absl::OkStatus();
}

absl::Status ActionWindow::Flush() {
  if (pending_.empty()) return absl::OkStatus();
  ActionBatch batch;
  batch.phase = phase_;
  std::vector<Differences> differences;
  differences.reserve(pending_.size());
  batch.actions.reserve(pending_.size());
  for (PlannedAction& planned : pending_) {
    differences.push_back(planned.differences);
    batch.actions.push_back(std::move(planned.action));
  }
  const size_t bytes = std::exchange(pending_bytes_, 0);
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopped_ || HasRoom(); });
    if (stopped_) return absl::CancelledError("the run has ended");
    batch.sequence = ++sent_sequence_;
    sent_actions_ += batch.actions.size();
    Batch entry;
    entry.sequence = batch.sequence;
    entry.first_id = batch.actions.front().id;
    entry.outcomes.assign(batch.actions.size(), ActionOutcome::kDone);
    entry.bytes = bytes;
    under_way_bytes_ += bytes;
    under_way_.push_back(std::move(entry));
  }
  const uint64_t sequence = batch.sequence;
  // The actions are lent to the message and come back: they are needed again when they end.
  ClientMessage message(std::move(batch));
  PassKillPoint(KillPoint::kRunBatch);
  US_RETURN_IF_ERROR(send_(message));
  PassKillPoint(KillPoint::kRunBatchSent);
  std::vector<Action> actions = std::move(std::get<ActionBatch>(message).actions);
  for (size_t i = 0; i < actions.size(); ++i) {
    pending_[i].phase = phase_;
    pending_[i].action = std::move(actions[i]);
    pending_[i].differences = differences[i];
  }
  std::vector<ActionsEvent> returned;
  std::optional<DurableEvent> durable;
  {
    std::lock_guard lock(mutex_);
    Batch& entry = under_way_[sequence - under_way_.front().sequence];
    entry.actions = std::move(pending_);
    entry.filled = true;
    returned = TakeReturned();
    durable = TakeDurable();
  }
  pending_.clear();
  Report(std::move(returned), durable);
  return absl::OkStatus();
}

std::vector<ActionsEvent> ActionWindow::TakeReturned() {
  std::vector<ActionsEvent> events;
  while (!under_way_.empty() && under_way_.front().sequence <= returned_sequence_ && under_way_.front().filled) {
    Batch& batch = under_way_.front();
    Settled& settled = settled_.emplace_back();
    settled.sequence = batch.sequence;
    settled.last_id = batch.first_id + batch.outcomes.size() - 1;
    for (size_t i = 0; i < batch.outcomes.size(); ++i) {
      const ActionOutcome outcome = batch.outcomes[i];
      settled.done += outcome == ActionOutcome::kDone;
      if (outcome != ActionOutcome::kDone && unfinished_.size() <= kMaxUnfinished)
        unfinished_.insert(batch.first_id + i);
      totals_.done += outcome == ActionOutcome::kDone;
      totals_.failed += outcome == ActionOutcome::kFailed;
      totals_.skipped += outcome == ActionOutcome::kSkipped;
    }
    events.push_back({std::move(batch.actions), std::move(batch.outcomes)});
    under_way_bytes_ -= batch.bytes;
    under_way_.pop_front();
  }
  if (!events.empty()) changed_.notify_all();
  return events;
}

std::optional<DurableEvent> ActionWindow::TakeDurable() {
  std::optional<DurableEvent> event;
  for (; !settled_.empty() && settled_.front().sequence <= durable_sequence_; settled_.pop_front()) {
    totals_.durable += settled_.front().done;
    event = DurableEvent{.through_action = settled_.front().last_id, .actions = totals_.durable};
  }
  return event;
}

void ActionWindow::Report(std::vector<ActionsEvent> events, std::optional<DurableEvent> durable) {
  for (ActionsEvent& event : events) events_->Push(std::move(event));
  if (durable) events_->Push(*durable);
}

void ActionWindow::Mark(uint64_t id, ActionOutcome outcome) {
  for (Batch& batch : under_way_) {
    if (id >= batch.first_id && id - batch.first_id < batch.outcomes.size())
      batch.outcomes[id - batch.first_id] = outcome;
  }
  // A file that waited for its name (StagingSettings::delay_updates) may fail after its batch was returned.
  const bool returned = under_way_.empty() || id < under_way_.front().first_id;
  if (returned && outcome == ActionOutcome::kFailed && unfinished_.size() <= kMaxUnfinished &&
      unfinished_.insert(id).second) {
    totals_.done -= std::min<uint64_t>(totals_.done, 1);
    ++totals_.failed;
  }
}

absl::Status ActionWindow::OnProgress(ApplyProgress progress) {
  PassKillPoint(KillPoint::kRunProgress);
  {
    std::lock_guard lock(mutex_);
    if (progress.completed_sequence > sent_sequence_ || progress.completed_sequence < returned_sequence_) {
      return absl::InvalidArgumentError("returned a batch of actions that is not under way");
    }
    if (progress.durable_sequence < durable_sequence_ || progress.durable_sequence > progress.completed_sequence)
      return absl::InvalidArgumentError("took back that a batch of actions is on disk, or told it too early");
    for (const uint64_t id : progress.skipped_actions) Mark(id, ActionOutcome::kSkipped);
    for (const Problem& problem : progress.problems) {
      totals_.problems.Add(problem);
      if (problem.action != 0 && problem.kind != ProblemKind::kUnstable) Mark(problem.action, ActionOutcome::kFailed);
    }
  }
  events_->SetApply(progress);
  // Problems first: an observer hears why before it hears that.
  for (Problem& problem : progress.problems) events_->Push(std::move(problem));
  std::vector<ActionsEvent> returned;
  std::optional<DurableEvent> durable;
  {
    std::lock_guard lock(mutex_);
    returned_sequence_ = progress.completed_sequence;
    durable_sequence_ = progress.durable_sequence;
    returned = TakeReturned();
    durable = TakeDurable();
  }
  Report(std::move(returned), durable);
  return absl::OkStatus();
}

absl::Status ActionWindow::OnDone(ApplyDone done) {
  PassKillPoint(KillPoint::kRunDone);
  std::vector<ActionsEvent> returned;
  std::optional<DurableEvent> durable;
  {
    std::lock_guard lock(mutex_);
    if (!finishing_ || done_) return absl::InvalidArgumentError("reported the end of what was not finished");
    if (done.counters.actions_done != sent_actions_)
      return absl::InvalidArgumentError("ended after " + std::to_string(done.counters.actions_done) + " of " +
                                        std::to_string(sent_actions_) + " actions");
    // Whatever was given has ended, that is what this message means.
    returned_sequence_ = sent_sequence_;
    returned = TakeReturned();
    durable = TakeDurable();
  }
  events_->SetApplyCounters(done.counters);
  Report(std::move(returned), durable);
  std::lock_guard lock(mutex_);
  done_ = std::move(done);
  changed_.notify_all();
  return absl::OkStatus();
}

absl::Status ActionWindow::Drain() {
  US_RETURN_IF_ERROR(Flush());
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || under_way_.empty(); });
  return stopped_ ? absl::CancelledError("the run has ended") : absl::OkStatus();
}

absl::StatusOr<ApplyDone> ActionWindow::Finish() {
  US_RETURN_IF_ERROR(Flush());
  {
    std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  PassKillPoint(KillPoint::kRunFinish);
  US_RETURN_IF_ERROR(send_(FinishApply{}));
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || done_; });
  if (!done_) return absl::CancelledError("the run has ended");
  return *done_;
}

bool ActionWindow::Reached(uint64_t id) const {
  std::lock_guard lock(mutex_);
  return unfinished_.size() <= kMaxUnfinished && !unfinished_.contains(id);
}

void ActionWindow::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

ActionTotals ActionWindow::totals() const {
  std::lock_guard lock(mutex_);
  return totals_;
}

}  // namespace uringsync
