// RunEvents: the bounded way from the threads of a run to the thread that calls the Observer, and the place where the
// run's first failure is kept.
//
// Thread rule: every method from any thread, but Take only from the thread that observes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/core/exit_code.h"
#include "coordinator/core/observer.h"

namespace uringsync {

struct OpenedEvent {
  HelloReply source;
  SessionOpened source_session;
  HelloReply destination;
  SessionOpened destination_session;
};
// Actions that ended together, in the order of their ids.
struct ActionsEvent {
  std::vector<PlannedAction> actions;
  std::vector<ActionOutcome> outcomes;
};
// Of actions with ids up to that one, all that are done: what they did is on disk.
struct DurableEvent {
  uint64_t through_action = 0;
  uint64_t actions = 0;  // how many of them are done
};
struct NoticeEvent {
  Side side = Side::kDestination;
  std::string text;
  bool shortfall = false;  // Observer::OnShortfall
};
struct ConnectionEvent {
  Side side = Side::kSource;
  ConnectionChange change;
};
struct SkippedEvent {
  SkipReason reason = SkipReason::kBelowProblem;
  RelPath path;
  FileType type = FileType::kRegular;
  std::string target = {};  // of an unsafe link
};
struct UnchangedEvent {
  RelPath path;
  Entry source;
  std::optional<uint32_t> basis = std::nullopt;  // that has it
};
struct RemovedEvent {
  std::vector<RelPath> paths;  // at the source
};
using RunEvent = std::variant<OpenedEvent, ActionsEvent, DurableEvent, Problem, NoticeEvent, SkippedEvent,
                              UnchangedEvent, RemovedEvent, ConnectionEvent>;

// Hands `event` to `observer`. The count of actions that ended with it.
size_t Tell(RunEvent event, Observer& observer);

// Why the whole run ended early.
struct RunFailure {
  ExitCode code = ExitCode::kProtocol;
  std::optional<Side> side;
  std::string text;
};

class RunEvents {
 public:
  static constexpr size_t kMaxQueued = 64;

  // Waits for room. Never lost: the observing thread takes until every producer has ended.
  void Push(RunEvent event);
  // The next event; nullopt at `deadline`, when all producers have ended and nothing is queued, or when woken by
  // Wake().
  std::optional<RunEvent> Take(absl::Time deadline);
  void Wake();

  // Threads that may push. Take() tells the end when the count is back at zero.
  void AddProducer();
  void EndProducer();
  bool drained() const;

  // The first call wins: remembers the failure and runs what OnFailure() registered. Returns whether it was the first.
  bool Fail(RunFailure failure);
  // `stop` is called once, by the thread that fails first, without locks held; to be set before any thread starts.
  void OnFailure(std::function<void()> stop) { stop_ = std::move(stop); }
  bool failed() const;
  std::optional<RunFailure> failure() const;
  // Waits until somebody has failed; false after `limit`.
  bool WaitFailed(absl::Duration limit) const;

  // How long each agent has been silent. A message came from one:
  void NoteActivity(Side side);
  // It was asked for something, and owes a sign of life from now on; it owes nothing.
  void Expect(Side side);
  void Rest(Side side);
  // It does not send signs of life: a message of the other one counts for it too.
  void ShareActivity(Side side);
  // This program did not run for so long (stopped, or its output blocked): nobody is to blame for it.
  void Excuse(absl::Duration away);
  // When an agent was last heard; the far future while it owes nothing.
  absl::Time last_activity(Side side) const;

  // Snapshots for OnProgress.
  void SetPlan(const PlanCounters& counters, bool discovering);
  void SetApply(const ApplyProgress& progress);
  void SetApplyCounters(const ApplyCounters& counters);
  SyncProgress progress() const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::condition_variable room_;
  std::deque<RunEvent> queue_;
  size_t producers_ = 0;
  bool woken_ = false;
  std::optional<RunFailure> failure_;
  std::function<void()> stop_;
  struct Silence {
    absl::Time last = absl::Now();
    bool owes = true;
    bool shared = false;
  };
  Silence& SilenceOf(Side side) { return side == Side::kSource ? source_ : destination_; }
  Silence source_;
  Silence destination_;
  SyncProgress progress_;
};

}  // namespace uringsync
