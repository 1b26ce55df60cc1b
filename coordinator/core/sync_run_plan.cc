// SyncRun, on its driving thread: the manifests are read, the plan is made and handed on; and what the agents answer.
#include <random>
#include <utility>

#include "coordinator/core/asked_manifest.h"
#include "coordinator/core/basis_trees.h"
#include "coordinator/core/entry_looks.h"
#include "coordinator/core/folded_manifests.h"
#include "coordinator/core/plan_applier.h"
#include "coordinator/core/second_look.h"
#include "coordinator/core/session_request.h"
#include "coordinator/core/sync_run.h"
#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/ring/driver.h"

namespace uringsync {
namespace {

// Events of one kind that the sink collects before it hands them over in one go (plan and verify).
constexpr size_t kListedActions = 256;

// A side without a manifest (a dry run into a directory that does not exist).
class EmptyManifest final : public ManifestStream {
 public:
  absl::StatusOr<std::optional<DirectoryBatch>> Next() override { return std::optional<DirectoryBatch>(); }
};

}  // namespace

// Digests stand for entries only where equal entries need nothing at all: not where kinds are left out one by one, nor
// where contents decide or times do not, nor where the planner sees other entries than the source sends. Into a
// directory that has just been made nothing is equal.
std::optional<FoldRules> SyncRun::ChooseFolding(const SourceView& view) const {
  const bool whole = request_.symlinks && request_.devices && request_.specials && !request_.ignore_times &&
                     !request_.rules.safe_links && view.IsPlain();
  const bool by_content = request_.checksum || request_.mode == SyncMode::kVerify;
  if (!request_.fold_listings || !request_.basis.empty() || RemovesSources(request_) || KeepsDirectoryLinks(request_) ||
      !whole || by_content || !BothHave(kFoldFeature) || !destination_opened_.exists || destination_opened_.created) {
    return std::nullopt;
  }
  std::random_device random;
  FoldRules rules;
  rules.seed = uint64_t{random()} << 32 | random();
  rules.time_granularity_ns = destination_opened_.time_granularity_ns;
  rules.time_range = destination_opened_.time_range;
  return rules;
}

// Before anything is planned: what names stand for.
absl::Status SyncRun::PrepareView(SourceView* view) {
  for (const auto& [link, hello] :
       {std::pair(&source_, &source_hello_), std::pair(&destination_, &destination_hello_)}) {
    if (!view->NeedsNames() || HasFeature(hello->features, kNamesFeature)) continue;
    events_.Fail(
        {ExitCode::kVersion, link == &source_ ? Side::kSource : Side::kDestination,
         std::string(link->name()) + " is too old to map users and groups by name; --numeric-ids does without"});
    return absl::CancelledError("a feature is missing");
  }
  const absl::Status prepared = view->Prepare();
  if (absl::IsNotFound(prepared)) {
    events_.Fail({ExitCode::kUsage, Side::kDestination, std::string(ToStd(prepared.message()))});
    return absl::CancelledError("an unknown name");
  }
  return prepared;
}

absl::Status SyncRun::PlanAndApply() {
  PassKillPoint(KillPoint::kRunOpened);
  DriverOptions driver_options;
  driver_options.backend = IoBackend::kThreads;  // the planner makes inline calls only
  driver_options.pool_threads = 1;
  US_ASSIGN_OR_RETURN(DriverChoice driver, MakeDriver(driver_options));
  const std::string& domain = source_opened_.name_domain;
  SourceView view(
      request_, !domain.empty() && domain == destination_opened_.name_domain,
      [this](const NameQuery& query) { return source_.AskNames(query); },
      [this](const NameQuery& query) { return destination_.AskNames(query); });
  US_RETURN_IF_ERROR(PrepareView(&view));
  if (request_.plan != nullptr) return ApplyPlan(&view, driver.driver.get());
  PathFilterPtr filter;
  if (!request_.trust_source && !request_.filters.empty()) {
    US_ASSIGN_OR_RETURN(filter, PathFilter::Compile(request_.filters, {.delete_excluded = request_.delete_excluded}));
  }
  const std::optional<FoldRules> fold = ChooseFolding(view);
  US_ASSIGN_OR_RETURN(IndexDifference difference, CompareIndexes(fold.has_value()));
  if (difference.usable && difference.directories.empty()) return NothingToDo(difference.equal);
  StartManifest start{.fold = fold};
  if (difference.usable) start.only = std::move(difference.directories);
  PlanOptions plan_options = MakePlanOptions(request_, destination_opened_);
  plan_options.pruned = difference.equal;
  if (deletes_held_) plan_options.rules.max_delete = 0;
  Planner planner(std::move(plan_options), driver.driver.get(), request_.spool_directory);
  planned_ = &planner.counters();
  removals_.Begin(driver.driver.get(), request_.spool_directory);
  // While a manifest is waited for, what is planned already should be on its way.
  const auto before_waiting = [this] {
    PublishCounters(true);
    return request_.mode == SyncMode::kSync ? window_.Flush() : Listed(true);
  };
  US_RETURN_IF_ERROR(bases_.Start(before_waiting, digest_key_));
  BasisTrees bases(request_.basis_use, bases_.streams());
  if (request_.basis_use != BasisUse::kNone) planner.SetBasis(&bases);
  source_.SetBeforeWaiting(before_waiting);
  destination_.SetBeforeWaiting(before_waiting);
  EmptyManifest nothing;
  const bool exists = destination_opened_.exists;
  if (exists) US_RETURN_IF_ERROR(destination_.StartManifest(start));
  US_RETURN_IF_ERROR(source_.StartManifest(start));
  FoldedManifests folded(&source_, &destination_, &arrivals_, before_waiting);
  ManifestStream& told = fold ? static_cast<ManifestStream&>(folded.source()) : source_;
  AskedManifest asked(&told, request_.operands, request_.trust_source ? nullptr : filter);
  ManifestStream& from = request_.trust_source ? told : asked;
  const absl::Status planned = fold ? planner.Run(from, folded.destination(), *this)
                                    : planner.Run(view.Over(from, driver.driver.get()),
                                                  exists ? static_cast<ManifestStream&>(destination_) : nothing, *this);
  PublishCounters(false);
  planned_ = nullptr;
  bases_.Stop();
  US_RETURN_IF_ERROR(planned);
  return Conclude();
}

// Carries out what was planned before.
absl::Status SyncRun::ApplyPlan(SourceView* view, Driver* driver) {
  removals_.Begin(driver, request_.spool_directory);
  FoundEntries found;
  ManifestStream& seen = view->Over(found, driver);
  PlanApplier::Hooks hooks;
  hooks.look =
      [&](std::vector<RelPath> source,
          std::vector<RelPath> destination) -> absl::StatusOr<std::pair<PlanApplier::Findings, PlanApplier::Findings>> {
    PublishCounters(true);
    US_RETURN_IF_ERROR(request_.mode == SyncMode::kSync ? window_.Flush() : Listed(true));
    US_ASSIGN_OR_RETURN(auto findings, LookAtBoth(source_, std::move(source), destination_, std::move(destination)));
    US_RETURN_IF_ERROR(found.PassThrough(seen, &findings.first));
    return findings;
  };
  hooks.drain = [this] { return window_.Drain(); };
  PlanApplier::Options options;
  options.policy = MakePlanOptions(request_, destination_opened_).policy;
  options.policy.size_only = options.policy.ignore_times = false;
  options.dry_run = request_.mode != SyncMode::kSync;
  options.tell_done = RemovesSources(request_);
  options.bases = bases_.places().size();
  options.plan_directory = request_.plan_directory;
  PlanApplier applier(std::move(options), std::move(hooks));
  planned_ = &applier.counters();
  const absl::Status applied = applier.Run(*request_.plan, *this);
  PublishCounters(false);
  planned_ = nullptr;
  bases_.Stop();
  US_RETURN_IF_ERROR(applied);
  return Conclude();
}

// What both indexes leave to be compared. Where one side has none, or they cannot be compared, everything.
absl::StatusOr<IndexDifference> SyncRun::CompareIndexes(bool folds) {
  const uint64_t seed = source_opened_.index_seed;
  if (!folds || !request_.use_index || request_.one_file_system || !request_.filters.empty() || seed == 0 ||
      destination_opened_.index_seed == 0)
    return IndexDifference();
  if (destination_opened_.index_seed != seed) {
    // From the next run on.
    US_RETURN_IF_ERROR(destination_.Send(TreeQuery{.adopt_seed = seed}));
    return IndexDifference();
  }
  const auto ask = [this](const TreeQuery& query) -> absl::StatusOr<std::pair<TreeReply, TreeReply>> {
    US_RETURN_IF_ERROR(source_.Send(query));
    US_RETURN_IF_ERROR(destination_.Send(query));
    std::pair<TreeReply, TreeReply> replies;
    US_ASSIGN_OR_RETURN(replies.first, source_.AwaitTree());
    US_ASSIGN_OR_RETURN(replies.second, destination_.AwaitTree());
    return replies;
  };
  return DescendIndexes(ask, !request_.omit_root_metadata);
}

absl::Status SyncRun::NothingToDo(const TreeTotals& below) {
  plan_counters_.source_entries = plan_counters_.destination_entries = plan_counters_.unchanged = below.entries + 1;
  plan_counters_.told_by_index = below.entries + 1;
  plan_counters_.source_files = below.files;
  plan_counters_.source_bytes = below.bytes;
  discovering_ = false;
  events_.SetPlan(plan_counters_, false);
  // No action, so nothing to finish: the destination need not even connect to the source.
  durability_ = request_.durability;
  return Listed(true);
}

absl::Status SyncRun::Conclude() {
  if (request_.mode != SyncMode::kSync) {
    if (!request_.look_at.empty()) US_RETURN_IF_ERROR(LookAtThem());
    return Listed(true);
  }
  US_ASSIGN_OR_RETURN(const ApplyDone done, window_.Finish());
  durability_ = done.durability;
  return RemovesSources(request_) ? RemoveSources() : absl::OkStatus();
}

absl::Status SyncRun::LookAtThem() {
  US_ASSIGN_OR_RETURN(auto findings, LookAtBoth(source_, request_.look_at, destination_, request_.look_at));
  request_.on_looked(std::move(findings.first), std::move(findings.second));
  return absl::OkStatus();
}

absl::Status SyncRun::RemoveSources() {
  if (durability_ < request_.durability) {
    events_.Push(
        NoticeEvent{Side::kSource, "no source is removed: the destination could not make everything durable", true});
    return absl::OkStatus();
  }
  return removals_.Run(
      {.reached = [this](uint64_t action) { return window_.Reached(action); },
       .send = [this](const ClientMessage& message) { return source_.Send(message); },
       .on_problem = [this](Problem problem) { return OnProblem(std::move(problem)); },
       .on_removed = [this](std::vector<RelPath> paths) { events_.Push(RemovedEvent{std::move(paths)}); }});
}

void SyncRun::PublishCounters(bool discovering) {
  plan_counters_ = *planned_;
  discovering_ = discovering && discovering_;
  events_.SetPlan(plan_counters_, discovering_);
}

absl::Status SyncRun::OnAction(PlannedAction planned) {
  // The first action that is no creation says that both trees are known.
  const bool known = discovering_ && planned.phase != Phase::kCreate;
  if (known) discovering_ = false;
  if (known || planned.action.id % 64 == 0) PublishCounters(true);
  if (request_.record) US_RETURN_IF_ERROR(request_.record(planned));
  // What a basis directory has stays at the source, unless it is a file: rsync takes it for nothing that was
  // transferred.
  const bool linked = planned.action.kind == ActionKind::kLink && planned.action.basis &&
                      planned.action.wanted.type != FileType::kRegular;
  const bool removable =
      planned.action.wanted.type != FileType::kDirectory && planned.action.kind != ActionKind::kDelete && !linked;
  if (RemovesSources(request_) && removable) {
    US_RETURN_IF_ERROR(removals_.Add(planned.action.id, planned.action.path, planned.action.wanted));
  }
  if (request_.mode == SyncMode::kSync) return window_.Add(std::move(planned));
  listed_.actions.push_back(std::move(planned));
  listed_.outcomes.push_back(ActionOutcome::kPlanned);
  return Listed(false);
}

absl::Status SyncRun::Listed(bool all) {
  if (events_.failed()) return absl::CancelledError("the run has ended");
  if (listed_.actions.empty() || (!all && listed_.actions.size() < kListedActions)) return absl::OkStatus();
  ActionsEvent listed = std::exchange(listed_, ActionsEvent());
  if (request_.mode == SyncMode::kVerify) {
    US_ASSIGN_OR_RETURN(listed, LookAgain(std::move(listed)));
  }
  events_.Push(std::move(listed));
  return absl::OkStatus();
}

absl::StatusOr<ActionsEvent> SyncRun::LookAgain(ActionsEvent listed) {
  std::vector<RelPath> paths;
  const bool can = BothHave(kEntryLooksFeature);
  // Which names share an object is not told of one object.
  const auto again = [can](const PlannedAction& planned) {
    return can && !planned.differences.empty() && !planned.differences.Has(Attribute::kHardLink);
  };
  for (const PlannedAction& planned : listed.actions) {
    if (again(planned)) paths.push_back(planned.action.path);
  }
  std::pair<std::vector<EntryFinding>, std::vector<EntryFinding>> found;
  if (!paths.empty()) {
    US_ASSIGN_OR_RETURN(found, LookAtBoth(source_, paths, destination_, paths));
  }
  const ComparePolicy policy = MakePlanOptions(request_, destination_opened_).policy;
  ActionsEvent told;
  size_t next = 0;
  for (PlannedAction& planned : listed.actions) {
    SecondLook judged = SecondLook::kDiffers;
    if (again(planned)) {
      judged = JudgeAgain(planned, found.first[next], found.second[next], policy);
      ++next;
    }
    if (judged == SecondLook::kSettled) {
      ++settled_;
      continue;
    }
    const bool changing = judged == SecondLook::kChanging;
    if (!planned.differences.empty()) ++(changing ? changing_ : differing_);
    told.actions.push_back(std::move(planned));
    told.outcomes.push_back(changing ? ActionOutcome::kChanging : ActionOutcome::kPlanned);
  }
  return told;
}

absl::Status SyncRun::OnProblem(Problem problem) {
  plan_problems_.Add(problem);
  events_.Push(std::move(problem));
  return absl::OkStatus();
}

absl::Status SyncRun::OnSkipped(SkipReason reason, const RelPath& path, FileType type) {
  events_.Push(SkippedEvent{reason, path, type});
  return absl::OkStatus();
}

absl::Status SyncRun::OnUnsafeLink(const RelPath& path, const std::string& target) {
  events_.Push(SkippedEvent{SkipReason::kUnsafeLink, path, FileType::kSymlink, target});
  return absl::OkStatus();
}

absl::Status SyncRun::OnUnchanged(const RelPath& path, const Entry& source) {
  return Settle(path, source, std::nullopt);
}

absl::Status SyncRun::OnInBasis(const RelPath& path, const Entry& source, uint32_t basis) {
  return Settle(path, source, basis);
}

absl::Status SyncRun::Settle(const RelPath& path, const Entry& source, std::optional<uint32_t> basis) {
  if (request_.tell_unchanged) events_.Push(UnchangedEvent{path, source, basis});
  const bool removable =
      RemovesSources(request_) && source.type != FileType::kDirectory && (!basis || source.type == FileType::kRegular);
  return removable ? removals_.Add(0, path, source) : absl::OkStatus();
}

absl::Status SyncRun::OnSourceMessage(AgentMessage message) {
  auto* progress = std::get_if<ApplyProgress>(&message);
  if (progress == nullptr) return absl::InvalidArgumentError("an apply report from a source");
  return removals_.OnReply(std::move(*progress));
}

absl::Status SyncRun::OnApplyMessage(AgentMessage message) {
  if (request_.mode != SyncMode::kSync) return absl::InvalidArgumentError("applied something in a dry run");
  if (auto* progress = std::get_if<ApplyProgress>(&message)) return window_.OnProgress(std::move(*progress));
  return window_.OnDone(std::get<ApplyDone>(std::move(message)));
}

}  // namespace uringsync
