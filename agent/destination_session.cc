#include "agent/destination_session.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "agent/account_names.h"
#include "agent/join_scope.h"
#include "agent/orderly_end.h"
#include "agent/root_index.h"
#include "agent/roots.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/kill_point.h"
#include "engine/fs/process_capabilities.h"
#include "engine/fs/state_name.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

// A quarter of what the process may open, for files that wait for their batch.
size_t StagedDescriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 1024;
  return std::clamp<size_t>(limit.rlim_cur / 4, 8, 1024);
}

}  // namespace

DestinationSession::DestinationSession(const AgentContext& context, OpenSession open, SessionOutbox* outbox)
    : context_(context),
      open_(std::move(open)),
      outbox_(outbox),
      systems_([outbox](std::string text) { outbox->Push(Notice{std::move(text)}); }),
      dialers_(context.runtime->size()) {}

void DestinationSession::Start() {
  opening_.SpawnOn(&context_.runtime->shard(0), Open());
}

Task<void> DestinationSession::Open() {
  Driver* driver = Shard::Current()->driver();
  absl::StatusOr<SessionRoot> root = OpenSessionRoot(driver, context_, open_);
  if (!root.ok()) {
    const bool no_descriptor = StatusErrno(root.status()) == EMFILE || StatusErrno(root.status()) == ENFILE;
    outbox_->Fail(no_descriptor ? ErrorKind::kFileIo : ErrorKind::kSelection,
                  "destination: " + std::string(ToStd(root.status().message())));
    co_return;
  }
  if (!root->not_made.ok()) {
    outbox_->Fail(ErrorKind::kFileIo, "destination: " + std::string(ToStd(root->not_made.message())));
    co_return;
  }
  root_ = *std::move(root);
  systems_.Begin(driver, root_);
  absl::StatusOr<ScanFilter> filter = MakeScanFilter(driver, context_, open_, root_);
  if (!filter.ok()) {
    outbox_->Fail(FilterErrorKind(filter.status()), "destination: " + std::string(ToStd(filter.status().message())));
    co_return;
  }
  filter_ = *std::move(filter);
  if (open_.keep_directory_links && root_.directory != nullptr)
    links_ = FollowBase{.directory = root_.directory, .beneath = true};
  view_ = MakeView(driver, open_, root_, context_.runtime->size(), links_, filter_);
  const auto whole = [](const SourceOperand& operand) {
    return operand.at.is_root() && operand.depth != OperandDepth::kObject;
  };
  shares_root_ = !open_.operands.empty() && std::none_of(open_.operands.begin(), open_.operands.end(), whole);
  SessionOpened opened;
  opened.name_domain = NameDomain();
  const bool writes = !open_.dry_run && root_.directory != nullptr;
  if (writes) {
    absl::Status locked = co_await Lock();
    if (!locked.ok()) {
      const char* way_out = StatusErrno(locked) == EWOULDBLOCK ? "; --wait waits for it to end" : "";
      outbox_->Fail(ErrorKind::kLocked, "destination: " + std::string(ToStd(locked.message())) + way_out);
      co_return;
    }
    opened.notices = lock_.notices();
    PassKillPoint(KillPoint::kDestinationLocked);
  }
  absl::Status described = DescribeRoot(driver, root_, open_, &opened);
  if (described.ok() && lock_.held()) HoldTheWay(opened);
  const bool durable = open_.durability != Durability::kNone && !IsVolatileFileSystem(opened.file_system);
  if (described.ok() && writes) {
    const bool could_chown = opened.can_chown;
    described = co_await ProbeDestination(driver, root_, open_, durable, &opened);
    keeps_owners_ = opened.can_chown == could_chown;
  }
  if (context_.fake_super)
    opened.can_chown = opened.can_mknod = opened.can_set_capabilities = opened.can_set_trusted = true;
  if (described.ok() && writes && durable && root_.created) described = co_await SyncCreatedRoot(driver, root_);
  if (described.ok() && writes) {
    const bool may_loosen_root = view_ == nullptr || view_->Covers(RelPath());
    resume_ = std::make_unique<ResumeJournal>(
        root_.directory, SessionTag(open_.session),
        ResumeJournal::Options{.links = links_, .start_writeback = durable, .may_loosen_root = may_loosen_root});
    resume_->TakeOver(driver, open_.resume);
    strays_removed_ = resume_->strays_removed();
  }
  if (described.ok() && writes) described = OpenBasisDirectories(driver);
  if (described.ok() && writes) described = OpenBackup(driver);
  if (described.ok() && root_.directory != nullptr) {
    absl::Status staging = OpenStaging(driver);
    if (!staging.ok()) {
      outbox_->Fail(ErrorKind::kUsage, std::string(ToStd(staging.message())));
      co_return;
    }
  }
  if (described.ok() && writes && open_.route.kind == DataRoute::Kind::kAccept) described = AwaitSource();
  if (!described.ok()) {
    outbox_->Fail(ErrorKind::kFileIo, "destination: " + std::string(ToStd(described.message())));
    co_return;
  }
  if (opened.exists && !opened.created) opened.index_seed = IndexSeedFor(context_.indexes, open_);
  writes_ = writes && open_.route.kind != DataRoute::Kind::kNone;
  destination_ = opened;
  // Into a directory that has just been made something will be copied.
  if (writes_ && opened.created && open_.route.kind == DataRoute::Kind::kConnect) DialSource();
  for (std::string& notice : systems_.TakeEarly()) opened.notices.push_back(std::move(notice));
  told_opened_ = std::chrono::steady_clock::now();
  opened_.store(true, std::memory_order_release);
  outbox_->Push(std::move(opened));
}

absl::Status DestinationSession::OpenBasisDirectories(Driver* driver) {
  for (const TreePlace& place : open_.basis_directories) {
    US_ASSIGN_OR_RETURN(basis_directories_.emplace_back(), OpenPlace(driver, context_, place));
    systems_.Add(basis_directories_.back());
  }
  return absl::OkStatus();
}

absl::Status DestinationSession::OpenBackup(Driver* driver) {
  if (!open_.backup) return absl::OkStatus();
  backup_ =
      BackupTarget{.suffix = open_.backup->suffix, .owner = open_.selection.owner, .group = open_.selection.group};
  if (!open_.backup->directory) return absl::OkStatus();
  const TreePlace& place = *open_.backup->directory;
  if (!place.root.empty()) US_RETURN_IF_ERROR(context_.roots->FindForRole(place.root, Role::kDestination).status());
  US_ASSIGN_OR_RETURN(backup_->base, OpenPlace(driver, context_, {place.root, RelPath(), place.host_path}));
  systems_.Add(backup_->base);
  backup_->below = place.path;
  return absl::OkStatus();
}

absl::Status DestinationSession::OpenStaging(Driver* driver) {
  const StagingSettings& asked = open_.staging;
  staging_ = {.keep_partial = asked.keep_partial,
              .parts = {.directory = asked.partial_directory, .climb = asked.partial_climb},
              .append = asked.append,
              .delay_updates = asked.delay_updates,
              .fuzzy = asked.fuzzy,
              .preallocate = asked.preallocate};
  if (asked.temporaries) {
    absl::StatusOr<DirectoryPtr> opened = OpenWritablePlace(driver, context_, *asked.temporaries);
    const TreePlace& place = *asked.temporaries;
    const std::string above = place.root.empty() ? place.host_path : std::string();
    const std::string shown = above + (above.empty() || place.path.is_root() ? "" : "/") + place.path.text();
    if (!opened.ok() && StatusErrno(opened.status()) == ENOENT)
      return absl::InvalidArgumentError("The temp-dir does not exist: " + EscapeName(shown));
    if (!opened.ok()) return WithContext(opened.status(), "the temp-dir");
    // What is written in place needs none.
    systems_.Add(*opened);
    if (!open_.in_place) staging_.temporaries = *std::move(opened);
  }
  if (!asked.partial_place || open_.dry_run) return absl::OkStatus();
  TreePlace above = *asked.partial_place;
  above.path = RelPath();
  absl::StatusOr<DirectoryPtr> base = OpenWritablePlace(driver, context_, above);
  if (!base.ok()) return WithContext(base.status(), "what the partial-dir is to lie in");
  systems_.Add(*base);
  staging_.parts.base = *std::move(base);
  staging_.parts.below = asked.partial_place->path;
  return absl::OkStatus();
}

absl::Status DestinationSession::StartOnce() {
  if (!opened() || !writes_) return absl::FailedPreconditionError("actions for a session that does not write");
  if (engine_ != nullptr) return absl::OkStatus();
  if (open_.route.kind == DataRoute::Kind::kLocal) {
    US_RETURN_IF_ERROR(UseLocalSource());
  } else {
    if (open_.route.kind == DataRoute::Kind::kConnect) DialSource();
    US_RETURN_IF_ERROR(NeedSource());
  }
  MakeEngine();
  engine_ready_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

std::optional<ScanLinks> DestinationSession::links() const {
  if (!links_) return std::nullopt;
  return ScanLinks{.which = {.directories = true}, .base = *links_, .stay_links = true};
}

void DestinationSession::MakeEngine() {
  ApplyOptions options;
  options.selection = open_.selection;
  options.durability = open_.durability;
  options.sparse = open_.sparse;
  options.background = open_.background;
  options.volatile_file_system = IsVolatileFileSystem(destination_.file_system);
  options.time_granularity_ns = destination_.time_granularity_ns;
  options.time_range = destination_.time_range;
  options.digest_seed = DigestSeedOf(open_.token);
  options.leaf_secret = LeafSecretOf(open_.token);
  options.session_tag = SessionTag(open_.session);
  options.capabilities = CapabilitiesIn(root_, context_.fake_super);
  if (!keeps_owners_ && !context_.fake_super) options.capabilities = WithoutOwners(std::move(options.capabilities));
  options.systems = systems_.all();
  options.may_delete = root_.verbs.Has(Verb::kDelete);
  // In one process both files would be read to save a copy of one.
  if (open_.route.kind != DataRoute::Kind::kLocal) options.delta = open_.delta;
  options.reflink = open_.reflink;
  options.direct_io = open_.direct_io;
  options.on_direct_refused = [this](std::string text) { outbox_->Push(Notice{std::move(text)}); };
  options.staged_descriptors = StagedDescriptors();
  options.basis_directories = basis_directories_;
  options.backup = backup_;
  options.readback = open_.readback;
  options.in_place = open_.in_place;
  options.write_devices = open_.write_devices;
  options.delta_block_bytes = open_.delta_block_bytes;
  options.keep_directory_links = open_.keep_directory_links;
  options.staging = staging_;
  if (open_.resume) options.resume = resume_.get();
  options.copy_unstable = open_.copy_unstable;
  options.as_planned = open_.as_planned;
  options.view = view_;
  options.source_is_near = open_.route.kind == DataRoute::Kind::kLocal;
  std::vector<ContentSource*> sources;
  const size_t shards = std::min(sources_.size(), SessionShards(open_, context_.runtime->size()));
  for (size_t i = 0; i < shards; ++i) sources.push_back(sources_[i].get());
  engine_ = std::make_unique<ApplyEngine>(context_.runtime, root_.directory, std::move(options), std::move(sources),
                                          [this] { outbox_->Notify(); });
  engine_->Start();
}

absl::Status DestinationSession::Submit(ActionBatch batch) {
  US_RETURN_IF_ERROR(StartOnce());
  if (finish_asked_.load()) return absl::FailedPreconditionError("actions after FinishApply");
  return engine_->Submit(std::move(batch));
}

absl::Status DestinationSession::Finish() {
  if (!opened() || !writes_) return absl::FailedPreconditionError("FinishApply for a session that does not write");
  if (finish_asked_.exchange(true)) return absl::FailedPreconditionError("FinishApply twice");
  if (engine_ != nullptr) {
    engine_->Finish();
  } else {
    // Nothing to do: nobody is connected to for that.
    nothing_to_do_.store(true, std::memory_order_release);
    outbox_->Notify();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ContentSource*>> DestinationSession::SourcesToMeasure() {
  if (open_.route.kind == DataRoute::Kind::kConnect) DialSource();
  US_RETURN_IF_ERROR(NeedSource());
  if (remote_.empty()) return absl::FailedPreconditionError("no data connection between the sides to be measured");
  return std::vector<ContentSource*>(remote_.begin(), remote_.end());
}

absl::Status DestinationSession::Measure(const RunBench& run) {
  if (!opened() || !writes_) return absl::FailedPreconditionError("RunBench for a session that does not write");
  if (engine_ != nullptr || finish_asked_)
    return absl::FailedPreconditionError("RunBench in a session that applies actions");
  if (bench_ == nullptr) {
    BenchSubject subject{.runtime = context_.runtime, .root = root_.directory, .role = Role::kDestination};
    subject.shards = SessionShards(open_, context_.runtime->size());
    subject.session = open_.session;
    subject.digest_seed = DigestSeedOf(open_.token);
    subject.selection = open_.selection;
    subject.volatile_file_system = IsVolatileFileSystem(destination_.file_system);
    bench_ = std::make_unique<BenchRunner>(std::move(subject),
                                           [this](BenchReport report) { outbox_->Push(std::move(report)); });
  }
  std::vector<ContentSource*> sources;
  if (run.step == BenchStep::kNetwork) {
    US_ASSIGN_OR_RETURN(sources, SourcesToMeasure());
  }
  return bench_->Start(run, std::move(sources));
}

bool DestinationSession::Poll(bool tick, AgentMessage* message) {
  if (done_told_) return false;
  if (nothing_to_do_.load(std::memory_order_acquire)) {
    done_told_ = true;
    *message = ApplyDone{{}, open_.durability};
    return true;
  }
  if (!engine_ready_.load(std::memory_order_acquire)) return false;
  if (tick) WatchConnections();
  const bool finished = engine_->finished();
  if (!tick && !finished && !engine_->shared().report.has_credit()) return false;
  ApplyProgress progress;
  bool more = engine_->TakeProgress(&progress);
  bool tells = more || !progress.problems.empty() || !progress.skipped_actions.empty();
  const bool news = progress.completed_sequence != told_sequence_ || progress.durable_sequence != told_durable_;
  if (finished && !tells && !engine_->shared().report.has_credit() && !news) {
    done_told_ = true;
    PassKillPoint(KillPoint::kDestinationDone);
    *message = engine_->Done();
    return true;
  }
  told_sequence_ = progress.completed_sequence;
  told_durable_ = progress.durable_sequence;
  *message = std::move(progress);
  return true;
}

Task<void> DestinationSession::TakeBackRoot() {
  RemoveCreatedRoot(Shard::Current()->driver(), root_);
  co_return;
}

Task<void> DestinationSession::CloseResume() {
  Driver* const driver = Shard::Current()->driver();
  // What earlier sessions left was of no use.
  if (nothing_to_do_) resume_->Drop(driver);
  resume_->Close(driver).IgnoreError();
  co_return;
}

void DestinationSession::Break(const std::string& why) {
  std::lock_guard lock(break_mutex_);
  if (!unbreakable_) outbox_->Fail(ErrorKind::kProtocol, "destination: " + why);
}

void DestinationSession::Stop() {
  if (stopped_) return;
  stopped_ = true;
  {
    std::lock_guard lock(break_mutex_);
    unbreakable_ = true;
  }
  systems_.Mute();
  cancel_.Cancel(absl::CancelledError("the destination session is over"));
  BlockOn(&context_.runtime->shard(0), JoinScope(&opening_));
  way_.Release();
  if (registered_) context_.table->RemoveDestination(open_.session);
  const bool orderly = (engine_ != nullptr && engine_->finished()) || nothing_to_do_;
  for (size_t i = 0; i < remote_.size(); ++i) {
    if (orderly) {
      running_.SpawnOn(&context_.runtime->shard(i), EndOrderly(remote_[i], kOrderlyEnd));
    } else {
      running_.SpawnOn(&context_.runtime->shard(i),
                       CloseSource(remote_[i], absl::CancelledError("the session is over")));
    }
  }
  if (engine_ != nullptr) engine_->Stop();
  if (bench_ != nullptr) bench_->Stop();
  // Connections that the data server runs for this session end now too.
  for (size_t i = 0; i < remote_.size(); ++i) running_.SpawnOn(&context_.runtime->shard(i), remote_[i]->Drained());
  BlockOn(&context_.runtime->shard(0), JoinScope(&running_));
  // Refused or broken off before anything was asked for: the directory that was made for it goes again.
  if (root_.created && lock_.held() && engine_ == nullptr && !finish_asked_)
    BlockOn(&context_.runtime->shard(0), TakeBackRoot());
  if (resume_ != nullptr) BlockOn(&context_.runtime->shard(0), CloseResume());
  resume_.reset();
  lock_ = SubtreeLock();
}

}  // namespace uringsync
