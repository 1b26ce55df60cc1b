// PlanEmitter: makes actions from decisions, numbers and counts them, and hands them to the sink.
//
// Thread rule: one thread. Use:  emitter.Emit({Phase::kCreate, emitter.Put(path, source, existing, differences),
// differences});
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "coordinator/core/planner.h"

namespace uringsync {

class PlanEmitter {
 public:
  // To be called before anything else; `sink` outlives the emitter's use. `tell_unchanged`: it hears of what needs
  // nothing, too.
  void SetSink(PlanSink* sink, bool tell_unchanged = false) {
    sink_ = sink;
    tells_unchanged_ = tell_unchanged;
  }
  bool tells_unchanged() const { return tells_unchanged_; }

  // Creations, or those that `which` chooses, go to `take` instead of the sink, until ReleaseCreates().
  using Chooses = std::function<bool(const PlannedAction&)>;
  void HoldCreates(std::function<absl::Status(const PlannedAction&)> take, Chooses which = nullptr) {
    hold_ = std::move(take);
    holds_ = std::move(which);
  }
  void ReleaseCreates() { hold_ = nullptr; }

  // Actions without an id yet. `source` and `existing` are taken over.
  static PlannedAction MakeDirectory(RelPath path, Entry source, std::optional<Entry> existing,
                                     Differences differences);
  // The object itself: file, symlink or special.
  static PlannedAction Put(RelPath path, Entry source, std::optional<Entry> existing, Differences differences);
  // Turns a Put into one that takes its contents from `basis`, or with `link` into a hard link of it. nullopt: nothing
  // changes.
  static void AddBasis(std::optional<ActionBasis> basis, bool link, PlannedAction* planned);
  static PlannedAction Link(RelPath path, Entry source, std::optional<Entry> existing, RelPath leader,
                            Differences differences);
  static PlannedAction SetMetadata(RelPath path, Entry source, std::optional<Entry> existing, Differences differences);
  // `makes_way`: something else comes in its place.
  static PlannedAction Delete(RelPath path, Entry existing, bool makes_way = false);

  // Numbers, counts and emits.
  absl::Status Emit(Phase phase, PlannedAction planned);
  absl::Status Problem(Side side, int error, const RelPath& path, std::string operation, std::string detail = "",
                       ProblemKind kind = ProblemKind::kFailed);
  // An object that its agent could not look at, or list: `error` comes without the call that failed.
  // An operand of the source that could not be looked at, however that came: what was asked for by name did not get
  // there.
  absl::Status OperandProblem(int error, const RelPath& path, const char* operation);
  // A symlink of the source that is to be followed and leads nowhere.
  absl::Status LinkProblem(const RelPath& path);
  absl::Status LookProblem(Side side, int error, const RelPath& path, const char* operation);
  absl::Status Skip(SkipReason reason, const RelPath& path, FileType type);
  // An object of the source.
  absl::Status Skip(SkipReason reason, const RelPath& path, const Entry& source);
  // An object that needs nothing.
  absl::Status Unchanged(const RelPath& path, const Entry& source) { return Unchanged(path, source, tells_unchanged_); }
  absl::Status Unchanged(const RelPath& path, const Entry& source, bool tell);
  // One that is left out because a basis directory has it.
  absl::Status InBasis(const RelPath& path, const Entry& source, uint32_t basis);
  // What a comparison left out.
  void CountLeftOut(const Differences& differences);
  PlanCounters& counters() { return counters_; }
  const PlanCounters& counters() const { return counters_; }

 private:
  void CountAction(const PlannedAction& planned);

  PlanSink* sink_ = nullptr;
  bool tells_unchanged_ = false;
  std::function<absl::Status(const PlannedAction&)> hold_;
  Chooses holds_;
  PlanCounters counters_;
};

}  // namespace uringsync
