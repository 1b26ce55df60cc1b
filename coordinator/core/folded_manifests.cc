#include "coordinator/core/folded_manifests.h"

#include <compare>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

// Verdicts travel when so many listings are judged, or when the planner has to wait.
constexpr uint64_t kVerdictsTogether = 64;

}  // namespace

void ArrivalSignal::Notify() {
  std::lock_guard lock(mutex_);
  ++count_;
  changed_.notify_all();
}

uint64_t ArrivalSignal::count() const {
  std::lock_guard lock(mutex_);
  return count_;
}

void ArrivalSignal::Wait(uint64_t seen) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, seen] { return count_ != seen; });
}

FoldedManifests::FoldedManifests(FoldingLink* source, FoldingLink* destination, ArrivalSignal* arrivals,
                                 std::function<absl::Status()> before_waiting)
    : source_(this, source),
      destination_(this, destination),
      arrivals_(arrivals),
      before_waiting_(std::move(before_waiting)) {}

void FoldedManifests::SideStream::PopFront() {
  queue_.pop_front();
  if (joined_ > 0) --joined_;
}

absl::Status FoldedManifests::Pump(SideStream* side) {
  while (true) {
    DirectoryBatch batch;
    US_ASSIGN_OR_RETURN(const FoldingLink::Arrival arrival, side->link_->Take(&batch));
    if (arrival == FoldingLink::Arrival::kEnd) side->ended_ = true;
    if (arrival != FoldingLink::Arrival::kBatch) return absl::OkStatus();
    if (batch.expanded) {
      US_RETURN_IF_ERROR(Expand(side, std::move(batch)));
      continue;
    }
    Item& item = side->queue_.emplace_back();
    item.batch = std::move(batch);
    if (item.batch.folded) item.state = State::kUndecided;
  }
}

absl::Status FoldedManifests::Expand(SideStream* side, DirectoryBatch batch) {
  const char* const which = side == &source_ ? "manifest of the source: " : "manifest of the destination: ";
  if (side->expanding_.empty() || side->expanding_.front()->batch.directory != batch.directory) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      which + std::string("entries of \"") + EscapeName(batch.directory.text()) + "\" came unasked");
  }
  const bool last = batch.last;
  batch.expanded = false;
  side->expanding_.front()->expansion.push_back(std::move(batch));
  if (last) side->expanding_.pop_front();
  return absl::OkStatus();
}

void FoldedManifests::Decide(SideStream* side, Item* item, State state) {
  if (item->state != State::kUndecided) return;
  item->state = state;
  ++side->verdicts_.through;
  ++trial_judged_;
  if (state == State::kMatched) {
    item->batch.matched = true;
    return;
  }
  ++wanted_;
  ++trial_wanted_;
  side->verdicts_.expand.push_back(side->verdicts_.through);
  side->expanding_.push_back(item);
}

void FoldedManifests::JudgePair(Item* source, Item* destination) {
  const bool equal = source->state == State::kUndecided && destination->state == State::kUndecided &&
                     *source->batch.folded == *destination->batch.folded;
  if (equal) ++matched_;
  Decide(&source_, source, equal ? State::kMatched : State::kWanted);
  Decide(&destination_, destination, equal ? State::kMatched : State::kWanted);
  ++source_.joined_;
  ++destination_.joined_;
}

void FoldedManifests::JudgeAlone(SideStream* side) {
  Decide(side, side->head(), State::kWanted);
  ++side->joined_;
}

void FoldedManifests::Join(SideStream* side) {
  while (true) {
    const bool urgent = !side->queue_.empty() && side->queue_.front().state == State::kUndecided;
    if (!urgent && (source_.queue_.size() > kMaxQueued || destination_.queue_.size() > kMaxQueued)) return;
    Item* source = source_.head();
    Item* destination = destination_.head();
    if (source == nullptr && destination == nullptr) return;
    if ((source == nullptr && !source_.ended_) || (destination == nullptr && !destination_.ended_)) return;
    if (source == nullptr) {
      JudgeAlone(&destination_);
    } else if (destination == nullptr) {
      JudgeAlone(&source_);
    } else {
      const std::strong_ordering order = source->batch.directory <=> destination->batch.directory;
      if (order == 0) {
        JudgePair(source, destination);
      } else {
        JudgeAlone(order < 0 ? &source_ : &destination_);
      }
    }
  }
}

absl::Status FoldedManifests::SendVerdicts(bool all) {
  bool stop = false;
  if (trial_judged_ >= kTrial) {
    stop = !stopped_folding_ && trial_wanted_ * 2 > trial_judged_;
    stopped_folding_ = stopped_folding_ || stop;
    trial_judged_ = trial_wanted_ = 0;
  }
  for (SideStream* side : {&source_, &destination_}) {
    const uint64_t open = side->verdicts_.through - side->sent_through_;
    if (!stop && (open == 0 || (!all && open < kVerdictsTogether))) continue;
    side->verdicts_.stop_folding = stop;
    US_RETURN_IF_ERROR(side->link_->Judge(side->verdicts_));
    side->sent_through_ = side->verdicts_.through;
    side->verdicts_.expand.clear();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<DirectoryBatch>> FoldedManifests::TakeFront(SideStream* side) {
  std::optional<DirectoryBatch> batch;
  if (side->queue_.empty()) return batch;
  Item& front = side->queue_.front();
  switch (front.state) {
    case State::kUndecided: return batch;
    case State::kPlain:
      batch = std::move(front.batch);
      side->PopFront();
      US_RETURN_IF_ERROR(side->link_->GiveBack(batch->entries.size()));
      return batch;
    case State::kMatched:
      batch = std::move(front.batch);
      side->PopFront();
      return batch;
    case State::kWanted: break;
  }
  if (front.expansion.empty()) return batch;
  batch = std::move(front.expansion.front());
  front.expansion.pop_front();
  if (batch->last) side->PopFront();
  return batch;
}

absl::StatusOr<std::optional<DirectoryBatch>> FoldedManifests::Next(SideStream* side) {
  SideStream* const other = side == &source_ ? &destination_ : &source_;
  while (true) {
    const uint64_t seen = arrivals_->count();
    US_RETURN_IF_ERROR(Pump(&source_));
    US_RETURN_IF_ERROR(Pump(&destination_));
    Join(side);
    US_RETURN_IF_ERROR(SendVerdicts(false));
    US_ASSIGN_OR_RETURN(std::optional<DirectoryBatch> batch, TakeFront(side));
    if (batch) return batch;
    if (side->queue_.empty() && side->ended_) return batch;
    const bool undecided = !side->queue_.empty() && side->queue_.front().state == State::kUndecided;
    if (undecided && other->head() == nullptr && !other->ended_ && !other->link_->has_credit()) {
      // The other side may have to wait until the planner takes what it has sent: it cannot be waited for.
      Decide(side, &side->queue_.front(), State::kWanted);
    }
    US_RETURN_IF_ERROR(SendVerdicts(true));
    US_RETURN_IF_ERROR(before_waiting_());
    arrivals_->Wait(seen);
  }
}

}  // namespace uringsync
