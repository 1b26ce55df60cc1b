#include "agent/apply_report.h"

#include <algorithm>
#include <utility>

#include "proto/wire_size.h"

namespace uringsync {

BatchPtr ApplyReport::BeginBatch(uint64_t sequence, size_t actions) {
  auto batch = std::make_shared<BatchState>();
  batch->sequence = sequence;
  batch->remaining = actions;
  {
    std::lock_guard lock(mutex_);
    batches_.push_back(batch);
  }
  if (actions == 0) {
    batch->ended = true;
    EndBatches();
  }
  return batch;
}

void ApplyReport::ActionDone(const BatchPtr& batch) {
  actions_done_.fetch_add(1, std::memory_order_relaxed);
  if (batch->remaining.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  batch->ended = true;
  EndBatches();
}

void ApplyReport::EndBatches() {
  {
    std::lock_guard lock(mutex_);
    while (!batches_.empty() && batches_.front()->ended) {
      completed_sequence_ = batches_.front()->sequence;
      if (ends_durably_) durable_sequence_ = completed_sequence_;
      batches_.pop_front();
    }
  }
  on_news_();
}

void ApplyReport::AddProblem(Problem problem) {
  std::lock_guard lock(mutex_);
  problems_.push_back(std::move(problem));
}

void ApplyReport::AddSkipped(uint64_t action) {
  std::lock_guard lock(mutex_);
  skipped_.push_back(action);
}

void ApplyReport::SetDurable(uint64_t sequence) {
  {
    std::lock_guard lock(mutex_);
    if (sequence <= durable_sequence_) return;
    durable_sequence_ = sequence;
  }
  on_news_();
}

bool ApplyReport::has_credit() const {
  std::lock_guard lock(mutex_);
  return completed_sequence_ != told_sequence_ || durable_sequence_ != told_durable_;
}

bool ApplyReport::Take(ApplyProgress* progress) {
  std::lock_guard lock(mutex_);
  size_t bytes = 0;
  while (!problems_.empty() && progress->problems.size() < kMaxProblemsPerMessage) {
    bytes += WireBytesBound(problems_.front());
    if (bytes > kTargetBatchBytes && !progress->problems.empty()) break;
    progress->problems.push_back(std::move(problems_.front()));
    problems_.pop_front();
  }
  while (!skipped_.empty() && progress->skipped_actions.size() < kMaxActionsPerBatch) {
    progress->skipped_actions.push_back(skipped_.front());
    skipped_.pop_front();
  }
  bool more = !problems_.empty() || !skipped_.empty();
  // Credit goes out with the last of the results that belong to it.
  progress->completed_sequence = more ? told_sequence_ : completed_sequence_;
  told_sequence_ = progress->completed_sequence;
  progress->durable_sequence = std::min(durable_sequence_, told_sequence_);
  told_durable_ = progress->durable_sequence;
  return more;
}

uint64_t ApplyReport::completed_sequence() const {
  std::lock_guard lock(mutex_);
  return completed_sequence_;
}

uint64_t ApplyReport::durable_sequence() const {
  std::lock_guard lock(mutex_);
  return durable_sequence_;
}

}  // namespace uringsync
