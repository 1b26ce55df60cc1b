#include "coordinator/core/run.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <utility>

#include "coordinator/core/action_window.h"
#include "coordinator/core/agent_link.h"
#include "coordinator/core/asked_manifest.h"
#include "coordinator/core/basis_links.h"
#include "coordinator/core/basis_trees.h"
#include "coordinator/core/entry_looks.h"
#include "coordinator/core/folded_manifests.h"
#include "coordinator/core/index_descent.h"
#include "coordinator/core/needed_features.h"
#include "coordinator/core/overlap.h"
#include "coordinator/core/plan_applier.h"
#include "coordinator/core/run_events.h"
#include "coordinator/core/session_request.h"
#include "coordinator/core/source_removals.h"
#include "coordinator/core/source_view.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/ring/driver.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

// How long the agents have, after everything is done, to end their streams themselves.
constexpr absl::Duration kPoliteEnd = absl::Seconds(5);
// A turn of the calling thread that took so much longer than it should was no agent's silence.
constexpr absl::Duration kAway = absl::Seconds(1);
// Below this the calling thread would do nothing but report.
constexpr absl::Duration kMinProgressInterval = absl::Milliseconds(1);
// Events of one kind that the sink collects before it hands them over in one go (plan and verify).
constexpr size_t kListedActions = 256;

// A side without a manifest (a dry run into a directory that does not exist).
class EmptyManifest final : public ManifestStream {
 public:
  absl::StatusOr<std::optional<DirectoryBatch>> Next() override { return std::optional<DirectoryBatch>(); }
};

// One run. The calling thread observes (Observe), a second one drives both sessions (Drive), each agent has one that
// receives.
class Run final : public PlanSink {
 public:
  Run(const SyncRequest& request, ClientStream& source, ClientStream& destination, Observer& observer)
      : request_(request),
        observer_(observer),
        window_(&events_, [this](const ClientMessage& message) { return destination_.Send(message); }),
        source_(Side::kSource, &source, &events_, [this](AgentMessage message) { return OnSourceMessage(std::move(message)); }),
        destination_(Side::kDestination, &destination, &events_,
                     [this](AgentMessage message) { return OnApplyMessage(std::move(message)); }) {}

  SyncOutcome Execute();

  // PlanSink, on the driving thread.
  absl::Status OnAction(PlannedAction planned) override;
  absl::Status OnProblem(Problem problem) override;
  absl::Status OnSkipped(SkipReason reason, const RelPath& path, FileType type) override;
  absl::Status OnUnchanged(const RelPath& path, const Entry& source) override;

 private:
  // Driving thread.
  void Drive();
  absl::Status Converse();
  absl::Status SayHello();
  absl::Status CheckFeatures(const AgentLink& link, const HelloReply& hello);
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
  absl::StatusOr<IndexDifference> CompareIndexes(bool folds);
  absl::Status NothingToDo(const TreeTotals& below);
  absl::Status Conclude();
  absl::Status RemoveSources();
  absl::Status LookAtThem();
  absl::Status Listed(bool all);
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
  const PlanCounters* planned_ = nullptr;  // of what plans now
  PlanCounters plan_counters_;
  ProblemTally plan_problems_;
  ActionsEvent listed_;
  bool discovering_ = true;
  bool complete_ = false;
  Durability durability_ = Durability::kNone;
  uint64_t differing_ = 0;

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

SyncOutcome Run::Execute() {
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
  return Summarize();
}

// ---- driving thread

void Run::Drive() {
  const absl::Status status = Converse();
  if (!status.ok()) {
    // A failure that is known already (an agent that died makes waits end as Cancelled) keeps its own words.
    events_.Fail({ExitCodeForStatus(status), std::nullopt, EscapeName(ToStd(status.message()))});
  }
  driven_ = true;
  events_.EndProducer();
  events_.Wake();
}

absl::Status Run::Converse() {
  US_RETURN_IF_ERROR(SayHello());
  US_RETURN_IF_ERROR(OpenSessions());
  US_RETURN_IF_ERROR(PlanAndApply());
  complete_ = true;
  source_.ExpectEnd();
  destination_.ExpectEnd();
  // Everything is done; whether the good-bye arrives changes nothing. An agent that takes nothing any more gets the polite time.
  saying_goodbye_ = true;
  events_.Wake();
  source_.SayGoodbye();
  destination_.SayGoodbye();
  return absl::OkStatus();
}

absl::Status Run::SayHello() {
  Hello hello;
  hello.software = request_.software;
  hello.features = CoordinatorFeatures();
  US_RETURN_IF_ERROR(source_.Send(hello));
  US_RETURN_IF_ERROR(destination_.Send(hello));
  // Asked for along with the greeting, a round trip earlier, where nothing in it depends on what the agents can do.
  // An agent that knows no filters would tell everything.
  const bool asks_early = compression_.mode == CompressionMode::kOff && request_.filters.empty() && !UsesOperands(request_);
  if (asks_early) US_RETURN_IF_ERROR(OpenSource());
  US_ASSIGN_OR_RETURN(source_hello_, source_.AwaitHello());
  US_ASSIGN_OR_RETURN(destination_hello_, destination_.AwaitHello());
  for (const auto& [link, reply] :
       {std::pair(&source_, &source_hello_), std::pair(&destination_, &destination_hello_)}) {
    if (reply->version >= kMinProtocolVersion && reply->version <= kProtocolVersion) continue;
    events_.Fail({ExitCode::kVersion, link == &source_ ? Side::kSource : Side::kDestination,
                  std::string(link->name()) + " speaks protocol versions " + std::to_string(reply->min_version) +
                      " to " + std::to_string(reply->max_version) + ", this program " +
                      std::to_string(kMinProtocolVersion) + " to " + std::to_string(kProtocolVersion)});
    return absl::CancelledError("no version in common");
  }
  US_RETURN_IF_ERROR(CheckFeatures(source_, source_hello_));
  return CheckFeatures(destination_, destination_hello_);
}

// What was asked for and an agent does not know: an error, unless it was left to us.
absl::Status Run::CheckFeatures(const AgentLink& link, const HelloReply& hello) {
  const Side side = &link == &source_ ? Side::kSource : Side::kDestination;
  std::string missing = MissingFeature(request_, side, hello.features);
  if (compression_.mode != CompressionMode::kOff && !HasFeature(hello.features, kCompressionFeature)) {
    if (compression_.mode == CompressionMode::kFixed) missing = "compression";
    compression_.mode = CompressionMode::kOff;
    if (missing.empty()) events_.Push(NoticeEvent{side, "too old for compression; contents go plain"});
  }
  if (missing.empty()) return absl::OkStatus();
  events_.Fail({ExitCode::kVersion, side, std::string(link.name()) + " is too old for " + missing + "; update it"});
  return absl::CancelledError("a feature is missing");
}

absl::Status Run::OpenSource() {
  if (std::exchange(source_asked_, true)) return absl::OkStatus();
  OpenSession source = MakeOpenSession(request_, Role::kSource);
  source.compression = compression_;
  return source_.Open(std::move(source));
}

// As a dry run opens a destination: one that is missing is no error.
absl::Status Run::OpenBases() {
  if (request_.basis.empty()) return absl::OkStatus();
  OpenSession open = MakeOpenSession(request_, Role::kDestination);
  open.dry_run = open.create_root = true;
  open.one_file_system = false;
  open.filters.clear();
  open.backup.reset();
  open.staging = StagingSettings();
  return bases_.Open(request_, open);
}

absl::Status Run::OpenSessions() {
  // The source first: where there is none, no destination directory is made.
  US_RETURN_IF_ERROR(OpenSource());
  US_ASSIGN_OR_RETURN(source_opened_, source_.AwaitOpened());
  if (!source_opened_.exists) {
    events_.Fail({ExitCode::kSelection, Side::kSource, "source agent: the source directory does not exist"});
    return absl::CancelledError("no source");
  }
  OpenSession destination = MakeOpenSession(request_, Role::kDestination);
  RouteChoice choice;
  if (request_.mode == SyncMode::kSync && request_.choose_route) {
    US_ASSIGN_OR_RETURN(choice, request_.choose_route(source_hello_, destination_hello_));
  }
  destination.route = choice.route;
  if (BothHave(kDeltaFeature)) destination.delta = request_.delta;
  US_RETURN_IF_ERROR(OpenBases());
  destination.basis_directories = bases_.places();
  US_RETURN_IF_ERROR(destination_.Open(std::move(destination)));
  US_ASSIGN_OR_RETURN(destination_opened_, destination_.AwaitOpened());
  if (!destination_opened_.exists && request_.mode == SyncMode::kSync) {
    events_.Fail(
        {ExitCode::kSelection, Side::kDestination, "destination agent: the destination directory does not exist"});
    return absl::CancelledError("no destination");
  }
  if (std::optional<std::string> overlap =
          DescribeOverlap(source_opened_, destination_opened_, request_.delete_extraneous)) {
    events_.Fail({ExitCode::kSelection, Side::kDestination, *std::move(overlap)});
    return absl::CancelledError("source and destination overlap");
  }
  PreflightReport preflight = CheckBeforeRun(request_, source_opened_, destination_opened_);
  if (preflight.refusal) {
    events_.Fail({ExitCode::kFileIo, Side::kDestination, "destination agent: " + *std::move(preflight.refusal)});
    return absl::CancelledError("it cannot go well");
  }
  if (choice.source_connects) US_RETURN_IF_ERROR(source_.Send(*choice.source_connects));
  events_.Push(OpenedEvent{source_hello_, source_opened_, destination_hello_, destination_opened_});
  for (std::string& notice : preflight.notices) events_.Push(NoticeEvent{Side::kDestination, std::move(notice)});
  return absl::OkStatus();
}

// Digests stand for entries only where equal entries need nothing at all: not where kinds are left out one by one, nor where
// contents decide or times do not, nor where the planner sees other entries than the source sends. Into a directory that has just been made nothing is equal.
std::optional<FoldRules> Run::ChooseFolding(const SourceView& view) const {
  const bool whole = request_.symlinks && request_.devices && request_.specials && !request_.ignore_times &&
                     !request_.rules.safe_links && view.IsPlain();
  const bool by_content = request_.checksum || request_.mode == SyncMode::kVerify;
  if (!request_.fold_listings || !request_.basis.empty() || RemovesSources(request_) || KeepsDirectoryLinks(request_) || !whole || by_content || !BothHave(kFoldFeature) ||
      !destination_opened_.exists || destination_opened_.created) {
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
absl::Status Run::PrepareView(SourceView* view) {
  for (const auto& [link, hello] : {std::pair(&source_, &source_hello_), std::pair(&destination_, &destination_hello_)}) {
    if (!view->NeedsNames() || HasFeature(hello->features, kNamesFeature)) continue;
    events_.Fail({ExitCode::kVersion, link == &source_ ? Side::kSource : Side::kDestination,
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

absl::Status Run::PlanAndApply() {
  DriverOptions driver_options;
  driver_options.backend = IoBackend::kThreads;  // the planner makes inline calls only
  driver_options.pool_threads = 1;
  US_ASSIGN_OR_RETURN(DriverChoice driver, MakeDriver(driver_options));
  const std::string& domain = source_opened_.name_domain;
  SourceView view(request_, !domain.empty() && domain == destination_opened_.name_domain,
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
  Planner planner(std::move(plan_options), driver.driver.get(), request_.spool_directory);
  planned_ = &planner.counters();
  removals_.Begin(driver.driver.get(), request_.spool_directory);
  // While a manifest is waited for, what is planned already should be on its way.
  const auto before_waiting = [this] {
    PublishCounters(true);
    return request_.mode == SyncMode::kSync ? window_.Flush() : Listed(true);
  };
  US_RETURN_IF_ERROR(bases_.Start(before_waiting));
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
  const absl::Status planned =
      fold ? planner.Run(from, folded.destination(), *this)
           : planner.Run(view.Over(from, driver.driver.get()),
                         exists ? static_cast<ManifestStream&>(destination_) : nothing, *this);
  PublishCounters(false);
  planned_ = nullptr;
  bases_.Stop();
  US_RETURN_IF_ERROR(planned);
  return Conclude();
}

// Carries out what was planned before.
absl::Status Run::ApplyPlan(SourceView* view, Driver* driver) {
  removals_.Begin(driver, request_.spool_directory);
  FoundEntries found;
  ManifestStream& seen = view->Over(found, driver);
  PlanApplier::Hooks hooks;
  hooks.look = [&](std::vector<RelPath> source, std::vector<RelPath> destination) -> absl::StatusOr<std::pair<PlanApplier::Findings, PlanApplier::Findings>> {
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
absl::StatusOr<IndexDifference> Run::CompareIndexes(bool folds) {
  const uint64_t seed = source_opened_.index_seed;
  if (!folds || !request_.use_index || request_.one_file_system || !request_.filters.empty() || seed == 0 || destination_opened_.index_seed == 0) return IndexDifference();
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

absl::Status Run::NothingToDo(const TreeTotals& below) {
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

absl::Status Run::Conclude() {
  if (request_.mode != SyncMode::kSync) {
    if (!request_.look_at.empty()) US_RETURN_IF_ERROR(LookAtThem());
    return Listed(true);
  }
  US_ASSIGN_OR_RETURN(const ApplyDone done, window_.Finish());
  durability_ = done.durability;
  return RemovesSources(request_) ? RemoveSources() : absl::OkStatus();
}

absl::Status Run::LookAtThem() {
  US_ASSIGN_OR_RETURN(auto findings, LookAtBoth(source_, request_.look_at, destination_, request_.look_at));
  request_.on_looked(std::move(findings.first), std::move(findings.second));
  return absl::OkStatus();
}

absl::Status Run::RemoveSources() {
  if (durability_ < request_.durability) {
    events_.Push(NoticeEvent{Side::kSource, "no source is removed: the destination could not make everything durable"});
    return absl::OkStatus();
  }
  return removals_.Run([this](uint64_t action) { return window_.Reached(action); },
                        [this](const ClientMessage& message) { return source_.Send(message); },
                        [this](Problem problem) { return OnProblem(std::move(problem)); });
}

void Run::PublishCounters(bool discovering) {
  plan_counters_ = *planned_;
  discovering_ = discovering && discovering_;
  events_.SetPlan(plan_counters_, discovering_);
}

absl::Status Run::OnAction(PlannedAction planned) {
  // The first action that is no creation says that both trees are known.
  if (planned.phase != Phase::kCreate) discovering_ = false;
  if (planned.action.id % 64 == 0) PublishCounters(true);
  if (!planned.differences.empty()) ++differing_;
  if (request_.record) US_RETURN_IF_ERROR(request_.record(planned));
  const bool removable = planned.action.wanted.type != FileType::kDirectory && planned.action.kind != ActionKind::kDelete;
  if (RemovesSources(request_) && removable) {
    US_RETURN_IF_ERROR(removals_.Add(planned.action.id, planned.action.path, planned.action.wanted));
  }
  if (request_.mode == SyncMode::kSync) return window_.Add(std::move(planned));
  listed_.actions.push_back(std::move(planned));
  listed_.outcomes.push_back(ActionOutcome::kPlanned);
  return Listed(false);
}

absl::Status Run::Listed(bool all) {
  if (events_.failed()) return absl::CancelledError("the run has ended");
  if (listed_.actions.empty() || (!all && listed_.actions.size() < kListedActions)) return absl::OkStatus();
  events_.Push(std::exchange(listed_, ActionsEvent()));
  return absl::OkStatus();
}

absl::Status Run::OnProblem(Problem problem) {
  plan_problems_.Add(problem);
  events_.Push(std::move(problem));
  return absl::OkStatus();
}

absl::Status Run::OnSkipped(SkipReason reason, const RelPath& path, FileType type) {
  events_.Push(SkippedEvent{reason, path, type});
  return absl::OkStatus();
}

absl::Status Run::OnUnchanged(const RelPath& path, const Entry& source) {
  if (request_.on_unchanged) request_.on_unchanged(path);
  return RemovesSources(request_) ? removals_.Add(0, path, source) : absl::OkStatus();
}

// ---- receiving threads

absl::Status Run::OnSourceMessage(AgentMessage message) {
  auto* progress = std::get_if<ApplyProgress>(&message);
  if (progress == nullptr) return absl::InvalidArgumentError("an apply report from a source");
  return removals_.OnReply(std::move(*progress));
}

absl::Status Run::OnApplyMessage(AgentMessage message) {
  if (request_.mode != SyncMode::kSync) return absl::InvalidArgumentError("applied something in a dry run");
  if (auto* progress = std::get_if<ApplyProgress>(&message)) return window_.OnProgress(std::move(*progress));
  return window_.OnDone(std::get<ApplyDone>(std::move(message)));
}

// ---- calling thread

absl::Time Run::NextDeadline() const {
  absl::Time deadline = last_progress_ + progress_interval_;
  deadline = std::min(deadline, started_ + request_.total_timeout);
  for (const Side side : {Side::kSource, Side::kDestination})
    deadline = std::min(deadline, events_.last_activity(side) + request_.idle_timeout);
  return std::min(deadline, polite_until_);
}

void Run::CheckLimits() {
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

void Run::CheckSilence(const AgentLink& link, Side side, absl::Time now) {
  if (now < events_.last_activity(side) + request_.idle_timeout) return;
  events_.Fail({ExitCode::kTimeout, side,
                std::string(link.name()) + ": sent nothing for " + absl::FormatDuration(request_.idle_timeout)});
}

void Run::Observe() {
  absl::Time turn = absl::Now();
  while (!events_.drained()) {
    // A turn takes no longer than the progress interval, unless this program was stopped or could not write its output.
    const absl::Duration took = absl::Now() - std::exchange(turn, absl::Now());
    if (took > progress_interval_ + kAway) events_.Excuse(took);
    std::optional<RunEvent> event = events_.Take(NextDeadline());
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

SyncOutcome Run::Summarize() const {
  SyncOutcome outcome;
  const ActionTotals totals = window_.totals();
  outcome.plan = plan_counters_;
  outcome.apply = events_.progress().apply;
  outcome.actions_done = totals.done;
  outcome.actions_failed = totals.failed;
  outcome.actions_skipped = totals.skipped;
  outcome.sources_removed = removals_.removed();
  outcome.problems.failed = plan_problems_.failed + totals.problems.failed;
  outcome.problems.vanished = plan_problems_.vanished + totals.problems.vanished;
  if (request_.mode == SyncMode::kVerify) outcome.problems.differing = differing_;
  outcome.source_manifest = source_.manifest_end();
  outcome.destination_manifest = destination_.manifest_end();
  outcome.durability = durability_;
  outcome.complete = complete_;
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

}  // namespace

SyncOutcome RunSync(const SyncRequest& request, ClientStream& source, ClientStream& destination, Observer& observer) {
  Run run(request, source, destination, observer);
  return run.Execute();
}

}  // namespace uringsync
