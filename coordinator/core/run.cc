// RunSync, and of its run what the calling thread does: it observes and keeps the limits.
#include "coordinator/core/run.h"

#include <thread>
#include <utility>

#include "coordinator/core/sync_run.h"
#include "engine/base/kill_point.h"

namespace uringsync {
namespace {

// How long the agents have, after everything is done, to end their streams themselves.
constexpr absl::Duration kPoliteEnd = absl::Seconds(5);
// A turn of the calling thread that took so much longer than it should was no agent's silence.
constexpr absl::Duration kAway = absl::Seconds(1);

}  // namespace

SyncOutcome SyncRun::Execute() {
  events_.OnFailure([this] {
    window_.Stop();
    source_.Stop();
    destination_.Stop();
    bases_.Stop();
    removals_.Stop();
  });
  source_.SetOnArrival([this] { arrivals_.Notify(); });
  destination_.SetOnArrival([this] { arrivals_.Notify(); });
  source_.Start();
  destination_.Start();
  events_.AddProducer();
  std::thread driver([this] { Drive(); });
  {
    const CancelToken::Registration registration = request_.cancel.OnCancel([this] {
      cancelled_ = true;
      events_.Wake();
    });
    Observe();
  }
  driver.join();
  source_.Join();
  destination_.Join();
  bases_.Join();
  PassKillPoint(KillPoint::kRunEnd);
  return Summarize();
}

absl::Time SyncRun::NextDeadline() const {
  absl::Time deadline = last_progress_ + progress_interval_;
  deadline = std::min(deadline, started_ + request_.total_timeout);
  for (const Side side : {Side::kSource, Side::kDestination})
    deadline = std::min(deadline, events_.last_activity(side) + request_.idle_timeout);
  return std::min(deadline, polite_until_);
}

void SyncRun::CheckLimits() {
  const absl::Time now = absl::Now();
  if (driven_ || saying_goodbye_) {
    // Nothing is left to fail, only to wait for.
    if (polite_until_ == absl::InfiniteFuture()) polite_until_ = now + kPoliteEnd;
    if (now < polite_until_ && !cancelled_) return;
    source_.Stop();
    destination_.Stop();
    return;
  }
  if (cancelled_) {
    events_.Fail({ExitCode::kInterrupted, std::nullopt, "interrupted"});
  } else if (now >= started_ + request_.total_timeout) {
    events_.Fail(
        {ExitCode::kTimeout, std::nullopt, "the run took longer than " + absl::FormatDuration(request_.total_timeout)});
  } else {
    CheckSilence(source_, Side::kSource, now);
    CheckSilence(destination_, Side::kDestination, now);
  }
}

void SyncRun::CheckSilence(const AgentLink& link, Side side, absl::Time now) {
  if (now < events_.last_activity(side) + request_.idle_timeout) return;
  events_.Fail({ExitCode::kTimeout, side,
                std::string(link.name()) + ": sent nothing for " + absl::FormatDuration(request_.idle_timeout)});
}

void SyncRun::Observe() {
  absl::Time turn = absl::Now();
  while (!events_.drained()) {
    // A turn takes no longer than the progress interval, unless this program was stopped or could not write its output.
    const absl::Duration took = absl::Now() - std::exchange(turn, absl::Now());
    if (took > progress_interval_ + kAway) events_.Excuse(took);
    std::optional<RunEvent> event = events_.Take(NextDeadline());
    if (event && std::holds_alternative<ActionsEvent>(*event)) {
      SyncProgress now = events_.progress();
      now.actions_ended = actions_ended_;
      observer_.OnActionsEnding(now);
    }
    if (event) actions_ended_ += Tell(*std::move(event), observer_);
    CheckLimits();
    const absl::Time now = absl::Now();
    if (now < last_progress_ + progress_interval_) continue;
    last_progress_ = now;
    SyncProgress progress = events_.progress();
    progress.actions_ended = actions_ended_;
    observer_.OnProgress(progress);
  }
  SyncProgress progress = events_.progress();
  progress.actions_ended = actions_ended_;
  observer_.OnProgress(progress);
}

SyncOutcome SyncRun::Summarize() const {
  SyncOutcome outcome;
  const ActionTotals totals = window_.totals();
  outcome.plan = plan_counters_;
  outcome.apply = events_.progress().apply;
  outcome.actions_done = totals.done;
  outcome.actions_failed = totals.failed;
  outcome.actions_skipped = totals.skipped;
  outcome.actions_durable = totals.durable;
  outcome.sources_removed = removals_.removed();
  outcome.problems.failed = plan_problems_.failed + totals.problems.failed;
  outcome.problems.unstable = totals.problems.unstable;
  outcome.problems.vanished = plan_problems_.vanished + totals.problems.vanished;
  if (request_.mode == SyncMode::kVerify) {
    outcome.problems.differing = differing_;
    outcome.problems.changing = changing_;
    outcome.problems.settled = settled_;
  }
  outcome.source_manifest = source_.manifest_end();
  outcome.destination_manifest = destination_.manifest_end();
  outcome.durability = durability_;
  outcome.complete = complete_;
  outcome.mounts = mounts_;
  outcome.deletes_held = deletes_held_;
  outcome.source_in_doubt = source_in_doubt_;
  const std::optional<RunFailure> failure = events_.failure();
  if (failure && !complete_) {
    outcome.exit_code = failure->code;
    outcome.error = failure->text;
    outcome.error_side = failure->side;
  } else {
    outcome.exit_code = ExitCodeForProblems(outcome.problems);
    const bool limited = outcome.plan.skipped_deletes > 0 && outcome.exit_code == ExitCode::kOk;
    if (limited) outcome.exit_code = ExitCode::kDeleteLimit;
  }
  return outcome;
}

SyncOutcome RunSync(const SyncRequest& request, ClientStream& source, ClientStream& destination, Observer& observer) {
  SyncRun run(request, source, destination, observer);
  return run.Execute();
}

}  // namespace uringsync
