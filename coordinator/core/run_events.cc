#include "coordinator/core/run_events.h"

#include <algorithm>
#include <utility>

namespace uringsync {

size_t Tell(RunEvent event, Observer& observer) {
  if (auto* opened = std::get_if<OpenedEvent>(&event)) {
    observer.OnOpened(opened->source, opened->source_session, opened->destination, opened->destination_session);
    const auto notices = [&observer](Side side, const HelloReply& hello, const SessionOpened& session) {
      if (!hello.fallback_reason.empty()) observer.OnNotice(side, hello.fallback_reason);
      for (const std::string& notice : session.notices) observer.OnNotice(side, notice);
    };
    notices(Side::kSource, opened->source, opened->source_session);
    notices(Side::kDestination, opened->destination, opened->destination_session);
  } else if (auto* actions = std::get_if<ActionsEvent>(&event)) {
    for (size_t i = 0; i < actions->actions.size(); ++i) {
      observer.OnAction(actions->actions[i].action, actions->actions[i].differences, actions->outcomes[i]);
    }
    return actions->actions.size();
  } else if (auto* durable = std::get_if<DurableEvent>(&event)) {
    observer.OnDurable(durable->through_action, durable->actions);
  } else if (auto* problem = std::get_if<Problem>(&event)) {
    observer.OnProblem(*problem);
  } else if (auto* notice = std::get_if<NoticeEvent>(&event)) {
    notice->shortfall ? observer.OnShortfall(notice->side, notice->text)
                      : observer.OnNotice(notice->side, notice->text);
  } else if (auto* connection = std::get_if<ConnectionEvent>(&event)) {
    observer.OnConnection(connection->side, connection->change);
  } else if (auto* skipped = std::get_if<SkippedEvent>(&event)) {
    if (skipped->reason == SkipReason::kUnsafeLink) {
      observer.OnUnsafeLink(skipped->path, skipped->target);
    } else {
      observer.OnSkipped(skipped->reason, skipped->path, skipped->type);
    }
  } else if (auto* unchanged = std::get_if<UnchangedEvent>(&event)) {
    if (unchanged->basis) {
      observer.OnInBasis(unchanged->path, unchanged->source, *unchanged->basis);
    } else {
      observer.OnUnchanged(unchanged->path, unchanged->source);
    }
  } else if (auto* removed = std::get_if<RemovedEvent>(&event)) {
    for (const RelPath& path : removed->paths) observer.OnSourceRemoved(path);
  }
  return 0;
}

namespace {

// Standard condition variables take standard time points; absl's infinite ones saturate.
std::chrono::system_clock::time_point WaitPoint(absl::Time deadline) {
  // Far enough never to matter, near enough not to overflow the clock's own arithmetic.
  const absl::Time latest = absl::Now() + absl::Hours(24);
  return absl::ToChronoTime(std::min(deadline, latest));
}

}  // namespace

void RunEvents::Push(RunEvent event) {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [this] { return queue_.size() < kMaxQueued; });
  queue_.push_back(std::move(event));
  changed_.notify_all();
}

std::optional<RunEvent> RunEvents::Take(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, WaitPoint(deadline), [this] { return !queue_.empty() || woken_ || producers_ == 0; });
  woken_ = false;
  if (queue_.empty()) return std::nullopt;
  RunEvent event = std::move(queue_.front());
  queue_.pop_front();
  room_.notify_all();
  return event;
}

void RunEvents::Wake() {
  std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void RunEvents::AddProducer() {
  std::lock_guard lock(mutex_);
  ++producers_;
}

void RunEvents::EndProducer() {
  std::lock_guard lock(mutex_);
  --producers_;
  changed_.notify_all();
}

bool RunEvents::drained() const {
  std::lock_guard lock(mutex_);
  return producers_ == 0 && queue_.empty();
}

bool RunEvents::Fail(RunFailure failure) {
  {
    std::lock_guard lock(mutex_);
    if (failure_) return false;
    failure_ = std::move(failure);
    woken_ = true;
    changed_.notify_all();
  }
  if (stop_) stop_();
  return true;
}

bool RunEvents::failed() const {
  std::lock_guard lock(mutex_);
  return failure_.has_value();
}

std::optional<RunFailure> RunEvents::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

bool RunEvents::WaitFailed(absl::Duration limit) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, WaitPoint(absl::Now() + limit), [this] { return failure_.has_value(); });
}

void RunEvents::NoteActivity(Side side) {
  std::lock_guard lock(mutex_);
  const absl::Time now = absl::Now();
  SilenceOf(side).last = now;
  Silence& other = SilenceOf(side == Side::kSource ? Side::kDestination : Side::kSource);
  if (other.shared) other.last = now;
}

void RunEvents::Expect(Side side) {
  std::lock_guard lock(mutex_);
  SilenceOf(side).last = absl::Now();
  SilenceOf(side).owes = true;
}

void RunEvents::Rest(Side side) {
  std::lock_guard lock(mutex_);
  SilenceOf(side).owes = false;
}

void RunEvents::ShareActivity(Side side) {
  std::lock_guard lock(mutex_);
  SilenceOf(side).shared = true;
}

void RunEvents::Excuse(absl::Duration away) {
  std::lock_guard lock(mutex_);
  for (Silence* silence : {&source_, &destination_}) silence->last = std::min(silence->last + away, absl::Now());
}

absl::Time RunEvents::last_activity(Side side) const {
  std::lock_guard lock(mutex_);
  const Silence& silence = side == Side::kSource ? source_ : destination_;
  return silence.owes ? silence.last : absl::InfiniteFuture();
}

void RunEvents::SetPlan(const PlanCounters& counters, bool discovering) {
  std::lock_guard lock(mutex_);
  progress_.plan = counters;
  progress_.discovering = discovering;
}

void RunEvents::SetApply(const ApplyProgress& progress) {
  std::lock_guard lock(mutex_);
  progress_.apply = progress.counters;
  progress_.current_file = progress.current_file;
  progress_.current_bytes = progress.current_bytes;
  progress_.current_size = progress.current_size;
}

void RunEvents::SetApplyCounters(const ApplyCounters& counters) {
  std::lock_guard lock(mutex_);
  progress_.apply = counters;
  progress_.current_file = RelPath();
  progress_.current_bytes = 0;
  progress_.current_size = 0;
}

SyncProgress RunEvents::progress() const {
  std::lock_guard lock(mutex_);
  return progress_;
}

}  // namespace uringsync
