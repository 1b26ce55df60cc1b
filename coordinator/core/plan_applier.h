// PlanApplier: carries out a plan that was made before, as far as everything is still what the plan saw.
//
// Every object that an action needs is looked at again on both sides. What changed is a conflict: told, and left as it
// is. What is as the plan wants it already needs nothing, so that a plan can be applied again after a run that broke
// off. The other actions go out with what was just seen, and the agents hold them to that.
//
// Memory: one batch. Thread rule: one thread, the planning one. Use:
//   PlanApplier applier(options, hooks);  US_RETURN_IF_ERROR(applier.Run(plan, sink));
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/compare.h"
#include "coordinator/core/plan_emitter.h"
#include "coordinator/core/still_same.h"

namespace uringsync {

// Actions of one phase, in the order of the plan.
struct PlannedBatch {
  Phase phase = Phase::kCreate;
  std::vector<PlannedAction> actions;
};

// A plan, from its first action to its last.
class PlannedActions {
 public:
  virtual ~PlannedActions() = default;
  // The next actions; nullopt after the last.
  virtual absl::StatusOr<std::optional<PlannedBatch>> Next() = 0;
};

class PlanApplier {
 public:
  struct Options {
    ComparePolicy policy;
    bool dry_run = false;                  // nothing is carried out: what earlier actions would make is not there
    size_t bases = 0;                      // basis directories that are there
    std::optional<FileId> plan_directory;  // of the source; its times do not count: the plan itself was put there
    bool tell_done = false;                // the sink hears of objects that need nothing (PlanSink::OnUnchanged)
  };
  using Findings = std::vector<EntryFinding>;
  struct Hooks {
    // What is at these paths now: at the source, as the run sees it, and at the destination. One finding for each path.
    std::function<absl::StatusOr<std::pair<Findings, Findings>>(std::vector<RelPath> source,
                                                                std::vector<RelPath> destination)>
        look;
    // Waits until everything emitted so far has ended.
    std::function<absl::Status()> drain;
  };

  PlanApplier(Options options, Hooks hooks) : options_(std::move(options)), hooks_(std::move(hooks)) {}
  // To the end of the plan. Errors are those of the plan, the hooks and the sink.
  absl::Status Run(PlannedActions& plan, PlanSink& sink);
  // Totals of what goes out; `unchanged` counts actions that need nothing, `source_entries` all of the plan.
  const PlanCounters& counters() const { return emitter_.counters(); }

 private:
  // Actions looked at together.
  static constexpr size_t kTogether = 256;

  struct Judgement {
    enum Verdict { kApply, kDone, kConflict } verdict = kApply;
    Side side = Side::kDestination;
    std::string why;  // of a conflict
  };
  // What is there now, of one action.
  struct Now {
    const EntryFinding* source = nullptr;  // null: the action needs nothing from there
    const EntryFinding* destination = nullptr;
    const EntryFinding* link_target = nullptr;  // of a link to another name
    const EntryFinding* origin = nullptr;       // of an action that has one
  };
  absl::Status RunTogether(Phase phase, std::span<PlannedAction> actions);
  Judgement Judge(const Action& action, const Now& now);
  std::optional<Judgement> JudgeDestination(const Action& action, const Now& now);
  std::optional<Judgement> JudgeSource(const Action& action, const EntryFinding& source);
  bool IsDone(const Action& action, const Now& now) const;
  bool IsLinkTarget(const Action& action, const EntryFinding& found) const;
  void RefreshOrigin(const Now& now, Action* action);
  absl::Status Act(Phase phase, PlannedAction planned, const Now& now);

  const Options options_;
  const Hooks hooks_;
  PlanEmitter emitter_;
  SeenDevices source_devices_;
  SeenDevices destination_devices_;
};

}  // namespace uringsync
