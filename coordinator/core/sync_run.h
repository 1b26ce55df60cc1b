// SyncRun: one run of RunSync (run.h). Inside coordinator/core only.
//
// Three sources: run.cc is the calling thread, sync_run_sessions.cc what both agents are told before anything is
// planned, sync_run_plan.cc the plan and what becomes of it.
//
// Thread rule: made and executed on the calling thread. Use:  SyncRun run(request, source, destination, observer);
// return run.Execute();
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/core/action_window.h"
#include "coordinator/core/agent_link.h"
#include "coordinator/core/basis_links.h"
#include "coordinator/core/index_descent.h"
#include "coordinator/core/run.h"
#include "coordinator/core/run_events.h"
#include "coordinator/core/source_removals.h"
#include "coordinator/core/source_view.h"
#include "proto/handshake.h"

namespace uringsync {

// Below this the calling thread would do nothing but report.
constexpr absl::Duration kMinProgressInterval = absl::Milliseconds(1);

// One run. The calling thread observes (Observe), a second one drives both sessions (Drive), each agent has one that
// receives.
class SyncRun final : public PlanSink {
 public:
  SyncRun(const SyncRequest& request, ClientStream& source, ClientStream& destination, Observer& observer)
      : request_(request),
        observer_(observer),
        window_(&events_, [this](const ClientMessage& message) { return destination_.Send(message); }),
        source_(Side::kSource, &source, &events_,
                [this](AgentMessage message) { return OnSourceMessage(std::move(message)); }),
        destination_(Side::kDestination, &destination, &events_,
                     [this](AgentMessage message) { return OnApplyMessage(std::move(message)); }) {}

  SyncOutcome Execute();

  // PlanSink, on the driving thread.
  absl::Status OnAction(PlannedAction planned) override;
  absl::Status OnProblem(Problem problem) override;
  absl::Status OnSkipped(SkipReason reason, const RelPath& path, FileType type) override;
  absl::Status OnUnsafeLink(const RelPath& path, const std::string& target) override;
  absl::Status OnUnchanged(const RelPath& path, const Entry& source) override;
  absl::Status OnInBasis(const RelPath& path, const Entry& source, uint32_t basis) override;

 private:
  // An object that needs nothing; `basis` has it.
  absl::Status Settle(const RelPath& path, const Entry& source, std::optional<uint32_t> basis);
  // Driving thread.
  void Drive();
  absl::Status Converse();
  absl::Status SayHello();
  absl::Status CheckFeatures(const AgentLink& link, const HelloReply& hello);
  // What both agents digest under, or a word about why not.
  void ChooseDigestKey();
  absl::Status OpenSource();
  absl::Status OpenBases();
  absl::Status OpenSessions();
  absl::Status PlanAndApply();
  absl::Status ApplyPlan(SourceView* view, Driver* driver);
  bool BothHave(std::string_view feature) const {
    return HasFeature(source_hello_.features, feature) && HasFeature(destination_hello_.features, feature);
  }
  std::optional<FoldRules> ChooseFolding(const SourceView& view) const;
  absl::Status PrepareView(SourceView* view);
  absl::Status CheckMounts();
  absl::Status LookForMounts();
  void TellLoss(const LostMount& lost, const std::vector<MountedPlace>& recorded);
  absl::StatusOr<IndexDifference> CompareIndexes(bool folds);
  absl::Status NothingToDo(const TreeTotals& below);
  absl::Status Conclude();
  absl::Status RemoveSources();
  absl::Status LookAtThem();
  absl::Status Listed(bool all);
  // Of a verify: what differs is looked at once more, and counted by what it is then.
  absl::StatusOr<ActionsEvent> LookAgain(ActionsEvent listed);
  void PublishCounters(bool discovering);

  // Receiving threads of the destination and of the source.
  absl::Status OnApplyMessage(AgentMessage message);
  absl::Status OnSourceMessage(AgentMessage message);

  // Calling thread.
  void Observe();
  absl::Time NextDeadline() const;
  void CheckLimits();
  void CheckSilence(const AgentLink& link, Side side, absl::Time now);
  SyncOutcome Summarize() const;

  const SyncRequest& request_;
  Observer& observer_;
  RunEvents events_;
  ActionWindow window_;
  ArrivalSignal arrivals_;
  AgentLink source_;
  AgentLink destination_;
  BasisLinks bases_{&events_};
  SourceRemovals removals_;

  // Driving thread until it has been joined.
  HelloReply source_hello_;
  HelloReply destination_hello_;
  CompressionSettings compression_ = request_.compression;
  bool source_asked_ = false;
  SessionOpened source_opened_;
  SessionOpened destination_opened_;
  std::vector<MountedPlace> mounts_;
  bool deletes_held_ = false;
  bool source_in_doubt_ = false;
  std::optional<DigestKey> digest_key_;
  const PlanCounters* planned_ = nullptr;  // of what plans now
  PlanCounters plan_counters_;
  ProblemTally plan_problems_;
  ActionsEvent listed_;
  bool discovering_ = true;
  bool complete_ = false;
  Durability durability_ = Durability::kNone;
  uint64_t differing_ = 0;
  uint64_t changing_ = 0;
  uint64_t settled_ = 0;

  // Calling thread.
  const absl::Time started_ = absl::Now();
  const absl::Duration progress_interval_ = std::max(request_.progress_interval, kMinProgressInterval);
  absl::Time last_progress_ = started_;
  absl::Time polite_until_ = absl::InfiniteFuture();
  uint64_t actions_ended_ = 0;
  std::atomic<bool> driven_{false};
  std::atomic<bool> saying_goodbye_{false};
  std::atomic<bool> cancelled_{false};
};

}  // namespace uringsync
