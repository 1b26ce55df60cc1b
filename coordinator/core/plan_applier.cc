#include "coordinator/core/plan_applier.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool NeedsSource(const Action& action) {
  return action.kind != ActionKind::kDelete && !action.wanted.implied;
}

bool LinksToName(const Action& action) {
  return action.kind == ActionKind::kLink && !action.basis;
}

// The destination's object that the plan saw; null: there was none.
const Entry* Expected(const Action& action) {
  if (action.existing) return &*action.existing;
  return action.kind == ActionKind::kDelete ? &action.wanted : nullptr;
}

// A directory that deletes of the same plan take away before the action comes.
bool MakesWay(const Action& action) {
  const bool makes = action.kind != ActionKind::kDelete && action.kind != ActionKind::kSetMetadata;
  return makes && action.wanted.type != FileType::kDirectory && action.existing &&
         action.existing->type == FileType::kDirectory;
}

// Metadata of a directory that the same plan makes.
bool FollowsMaking(const Action& action) {
  return action.kind == ActionKind::kSetMetadata && action.wanted.type == FileType::kDirectory && !action.existing;
}

// The same object with contents from the source.
Action WithoutBasis(Action action) {
  action.basis.reset();
  if (action.kind != ActionKind::kLink) return action;
  action.kind = action.wanted.type == FileType::kRegular   ? ActionKind::kPutFile
                : action.wanted.type == FileType::kSymlink ? ActionKind::kPutSymlink
                                                           : ActionKind::kPutSpecial;
  return action;
}

}  // namespace

absl::Status PlanApplier::Run(PlannedActions& plan, PlanSink& sink) {
  emitter_.SetSink(&sink);
  std::optional<Phase> phase;
  while (true) {
    US_ASSIGN_OR_RETURN(std::optional<PlannedBatch> batch, plan.Next());
    if (!batch) return absl::OkStatus();
    // What is looked at next may be what the phase before has made.
    if (phase != batch->phase && phase && !options_.dry_run) US_RETURN_IF_ERROR(hooks_.drain());
    phase = batch->phase;
    const std::span<PlannedAction> actions(batch->actions);
    for (size_t begin = 0; begin < actions.size(); begin += kTogether) {
      US_RETURN_IF_ERROR(RunTogether(*phase, actions.subspan(begin, std::min(kTogether, actions.size() - begin))));
    }
  }
}

absl::Status PlanApplier::RunTogether(Phase phase, std::span<PlannedAction> actions) {
  std::vector<RelPath> source_paths;
  std::vector<RelPath> destination_paths;
  for (const PlannedAction& planned : actions) {
    if (NeedsSource(planned.action)) source_paths.push_back(planned.action.path);
    destination_paths.push_back(planned.action.path);
    if (LinksToName(planned.action)) destination_paths.push_back(planned.action.link_target);
    if (planned.action.origin) destination_paths.push_back(planned.action.origin->path);
  }
  US_ASSIGN_OR_RETURN(const auto findings, hooks_.look(std::move(source_paths), std::move(destination_paths)));
  auto source = findings.first.begin();
  auto destination = findings.second.begin();
  for (PlannedAction& planned : actions) {
    Now now;
    if (NeedsSource(planned.action)) now.source = &*source++;
    now.destination = &*destination++;
    if (LinksToName(planned.action)) now.link_target = &*destination++;
    if (planned.action.origin) now.origin = &*destination++;
    US_RETURN_IF_ERROR(Act(phase, std::move(planned), now));
  }
  return absl::OkStatus();
}

absl::Status PlanApplier::Act(Phase phase, PlannedAction planned, const Now& now) {
  Action& action = planned.action;
  const Judgement judgement = Judge(action, now);
  ++emitter_.counters().source_entries;
  switch (judgement.verdict) {
    case Judgement::kConflict:
      return emitter_.Problem(judgement.side, 0, action.path, "apply", judgement.why, ProblemKind::kConflict);
    case Judgement::kDone: {
      const bool tell =
          options_.tell_done && now.source != nullptr && now.source->entry && !JudgeSource(action, *now.source);
      return emitter_.Unchanged(action.path, tell ? *now.source->entry : action.wanted, tell);
    }
    case Judgement::kApply: break;
  }
  // The agents go by what was just seen.
  const std::optional<Entry>& there = now.destination->entry;
  if (now.source != nullptr) action.wanted = *now.source->entry;
  if (action.kind == ActionKind::kDelete) action.wanted = *there;
  if (action.existing) action.existing = there;
  if (action.origin) RefreshOrigin(now, &action);
  // The agent knows any other basis again by its identity.
  if (action.basis && action.basis->directory >= options_.bases) action = WithoutBasis(std::move(action));
  return emitter_.Emit(phase, std::move(planned));
}

// What it was to be made from may be another object by now: then its contents come from the source.
void PlanApplier::RefreshOrigin(const Now& now, Action* action) {
  const std::optional<Entry>& there = now.origin->entry;
  const SameRules rules{.directory_times = false, .ctime_of_links = false};
  const bool same =
      there && there->error == 0 && ChangedSince(action->origin->object, *there, rules, &destination_devices_).empty();
  if (same) {
    action->origin->object = *there;
  } else {
    action->origin.reset();
  }
}

PlanApplier::Judgement PlanApplier::Judge(const Action& action, const Now& now) {
  std::optional<Judgement> destination = JudgeDestination(action, now);
  if (destination) return *std::move(destination);
  std::optional<Judgement> source = now.source != nullptr ? JudgeSource(action, *now.source) : std::nullopt;
  if (source) return *std::move(source);
  if (now.link_target != nullptr && !options_.dry_run && !IsLinkTarget(action, *now.link_target)) {
    return {Judgement::kConflict, Side::kDestination, "what it is to be a hard link of is not there as planned"};
  }
  return {};
}

std::optional<PlanApplier::Judgement> PlanApplier::JudgeDestination(const Action& action, const Now& now) {
  const auto conflict = [](std::string why) {
    return Judgement{Judgement::kConflict, Side::kDestination, std::move(why)};
  };
  const EntryFinding& there = *now.destination;
  const Entry* const expected = Expected(action);
  const int error = there.entry ? there.entry->error : there.error;
  if (error != 0) return conflict(std::string("it cannot be looked at any more: ") + std::strerror(error));
  if (!there.entry && expected == nullptr && !FollowsMaking(action)) return std::nullopt;
  if (!there.entry && MakesWay(action)) return std::nullopt;
  if (!there.entry && options_.dry_run && FollowsMaking(action)) return std::nullopt;
  // One that was just made has the modes of what is being filled, which nothing compares.
  const bool filled = FollowsMaking(action) && there.entry && there.entry->type == FileType::kDirectory &&
                      !options_.policy.selection.mode;
  if (filled) return std::nullopt;
  std::vector<std::string> changed;
  // Also where nothing moved: what is asked for may have come some other way.
  if (action.kind == ActionKind::kSetMetadata && IsDone(action, now))
    return Judgement{Judgement::kDone, Side::kDestination, {}};
  if (there.entry && expected != nullptr) {
    const SameRules rules{.directory_times = false, .ctime_of_links = false};
    changed = ChangedSince(*expected, *there.entry, rules, &destination_devices_);
    if (changed.empty()) return std::nullopt;
  }
  if (IsDone(action, now)) return Judgement{Judgement::kDone, Side::kDestination, {}};
  if (!there.entry) return conflict("it is gone since the plan was made");
  if (FollowsMaking(action) && there.entry->type == FileType::kDirectory) return std::nullopt;
  if (expected == nullptr) return conflict("it was made since the plan was made");
  return conflict("changed since the plan was made: " + Joined(changed));
}

std::optional<PlanApplier::Judgement> PlanApplier::JudgeSource(const Action& action, const EntryFinding& source) {
  const auto conflict = [](std::string why) { return Judgement{Judgement::kConflict, Side::kSource, std::move(why)}; };
  const int error = source.entry ? source.entry->error : source.error;
  if (error != 0) return conflict(std::string("it cannot be looked at any more: ") + std::strerror(error));
  if (!source.entry) return conflict("it is gone since the plan was made");
  const SameRules rules{.directory_times = options_.plan_directory != source.entry->id};
  std::vector<std::string> changed = ChangedSince(action.wanted, *source.entry, rules, &source_devices_);
  if (changed.empty()) return std::nullopt;
  // Of a directory that is made nothing is taken over yet.
  const bool same_directory =
      action.kind == ActionKind::kMakeDirectory && changed.front() != "type" && changed.front() != "object";
  if (same_directory) return std::nullopt;
  return conflict("changed since the plan was made: " + Joined(changed));
}

bool PlanApplier::IsLinkTarget(const Action& action, const EntryFinding& found) const {
  return found.entry && found.entry->error == 0 && Compare(action.wanted, *found.entry, options_.policy).empty();
}

bool PlanApplier::IsDone(const Action& action, const Now& now) const {
  const std::optional<Entry>& there = now.destination->entry;
  if (action.kind == ActionKind::kDelete) return !there;
  if (!there) return false;
  if (action.kind == ActionKind::kMakeDirectory) return there->type == FileType::kDirectory;
  if (now.link_target != nullptr && (!now.link_target->entry || now.link_target->entry->id != there->id)) return false;
  return Compare(action.wanted, *there, options_.policy).empty();
}

}  // namespace uringsync
