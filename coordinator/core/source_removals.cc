#include "coordinator/core/source_removals.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "proto/wire_size.h"

namespace uringsync {

absl::Status SourceRemovals::Add(uint64_t action, const RelPath& path, const Entry& object) {
  writer_.Clear();
  writer_.PutNumber(action);
  writer_.PutPath(path);
  writer_.PutEntry(object);
  return spool_->Append(writer_.bytes());
}

absl::Status SourceRemovals::Run(const Hooks& hooks) {
  Spool::Reader records = spool_->Forward();
  std::string record;
  ActionBatch batch;
  size_t bytes = 0;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, records.Next(&record));
    if (!more) break;
    RecordReader reader(record);
    const uint64_t id = reader.GetNumber();
    Action action;
    action.kind = ActionKind::kDelete;
    action.path = reader.GetPath();
    action.wanted = reader.GetEntry();
    if (!reader.ok()) return DamagedSpool();
    if (id != 0 && !hooks.reached(id)) continue;
    bytes += WireBytesBound(action);
    if (batch.actions.size() == kBatchObjects || (bytes > kTargetBatchBytes && !batch.actions.empty())) {
      bytes = WireBytesBound(action);
      US_RETURN_IF_ERROR(RemoveBatch(std::exchange(batch, ActionBatch()), hooks));
    }
    action.id = batch.actions.size() + 1;
    batch.actions.push_back(std::move(action));
  }
  return batch.actions.empty() ? absl::OkStatus() : RemoveBatch(std::move(batch), hooks);
}

absl::Status SourceRemovals::RemoveBatch(ActionBatch batch, const Hooks& hooks) {
  batch.phase = Phase::kDelete;
  std::vector<RelPath> removed;
  for (const Action& action : batch.actions) removed.push_back(action.path);
  {
    std::lock_guard lock(mutex_);
    asked_ = true;
    batch.sequence = ++sequence_;
    reply_.reset();
  }
  US_RETURN_IF_ERROR(hooks.send(std::move(batch)));
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || reply_; });
  if (!reply_) return absl::CancelledError("the run has ended");
  std::vector<Problem> problems = std::move(reply_->problems);
  lock.unlock();
  for (Problem& problem : problems) {
    std::erase(removed, problem.path);
    // The ids are those of this exchange, not of the plan.
    problem.action = 0;
    US_RETURN_IF_ERROR(hooks.on_problem(std::move(problem)));
  }
  removed_ += removed.size();
  if (!removed.empty()) hooks.on_removed(std::move(removed));
  return absl::OkStatus();
}

absl::Status SourceRemovals::OnReply(ApplyProgress progress) {
  std::lock_guard lock(mutex_);
  if (!asked_ || progress.completed_sequence != sequence_)
    return absl::InvalidArgumentError("answered what it was not asked");
  asked_ = false;
  reply_ = std::move(progress);
  changed_.notify_all();
  return absl::OkStatus();
}

void SourceRemovals::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace uringsync
