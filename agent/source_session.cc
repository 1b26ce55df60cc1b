#include "agent/source_session.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/account_names.h"
#include "agent/backoff.h"
#include "agent/filter_gate.h"
#include "agent/join_scope.h"
#include "agent/logging.h"
#include "agent/root_index.h"
#include "agent/session_place.h"
#include "agent/source_mounts.h"
#include "agent/timed_dial.h"
#include "engine/base/errno_status.h"
#include "engine/fs/atomic_file.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/file.h"
#include "engine/fs/link_follower.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/source_server.h"
#include "proto/data_stream.h"

namespace uringsync {
namespace {

Task<void> CloseChannel(ReplyChannel* channel) {
  channel->Close();
  co_return;
}

// Data connections of a source that connects, when nobody says how many.
constexpr size_t kConnectionsPerShard = 2;
constexpr size_t kMaxConnections = 64;

}  // namespace

SourceSession::SourceSession(const AgentContext& context, OpenSession open, SessionOutbox* outbox)
    : context_(context),
      open_(std::move(open)),
      outbox_(outbox),
      systems_([this](std::string text) { Tell(std::move(text)); }),
      direct_io_(open_.direct_io, [this](std::string text) { Tell(std::move(text)); }) {
  if (open_.compression.mode != CompressionMode::kOff)
    compression_ =
        std::make_unique<SharedCompression>(open_.compression, SessionShards(open_, context_.runtime->size()));
  if (open_.bytes_per_second > 0) throttle_ = std::make_unique<Throttle>(open_.bytes_per_second);
}

void SourceSession::Start() {
  opening_.SpawnOn(&context_.runtime->shard(0), Open());
}

Task<void> SourceSession::Open() {
  Driver* driver = Shard::Current()->driver();
  absl::StatusOr<SessionRoot> root = OpenSessionRoot(driver, context_, open_);
  if (!root.ok()) {
    outbox_->Fail(ErrorKind::kSelection, "source: " + std::string(ToStd(root.status().message())));
    co_return;
  }
  root_ = *std::move(root);
  systems_.Begin(driver, root_);
  absl::StatusOr<ScanFilter> filter = MakeScanFilter(driver, context_, open_, root_);
  if (!filter.ok()) {
    outbox_->Fail(FilterErrorKind(filter.status()), "source: " + std::string(ToStd(filter.status().message())));
    co_return;
  }
  filter_ = *std::move(filter);
  SessionOpened opened;
  opened.name_domain = NameDomain();
  absl::Status described = DescribeRoot(driver, root_, open_, &opened);
  if (!described.ok()) {
    outbox_->Fail(ErrorKind::kFileIo, "source: " + std::string(ToStd(described.message())));
    co_return;
  }
  opened.index_seed = IndexSeedFor(context_.indexes, open_);
  if (open_.follow_links.any()) {
    absl::StatusOr<FollowBase> links = FollowBaseOf(driver, context_, open_, root_);
    if (!links.ok()) {
      outbox_->Fail(ErrorKind::kSelection, "source: " + std::string(ToStd(links.status().message())));
      co_return;
    }
    systems_.Add(links->directory);
    links_ = *std::move(links);
  }
  view_ = MakeView(driver, open_, root_, context_.runtime->size(), links_, filter_);
  if (view_ != nullptr) {
    // The top of what operands make is no directory of this host.
    opened.root = Entry();
    opened.root.type = FileType::kDirectory;
    opened.ancestors.clear();
    opened.tree_roots = TreeRootsOf(driver, *view_);
    opened.place = PlaceOf(driver, *view_);
  }
  if (!TakeSnapshot(driver, &opened)) co_return;
  absl::Status added = context_.table->AddSource(open_.session, shared_from_this());
  if (!added.ok()) {
    outbox_->Fail(ErrorKind::kProtocol, std::string(ToStd(added.message())));
    co_return;
  }
  registered_ = true;
  opened.notices = systems_.TakeEarly();
  opened_.store(true, std::memory_order_release);
  outbox_->Push(std::move(opened));
  if (!snapshot_.notice().empty()) Tell("source: " + snapshot_.notice());
}

bool SourceSession::TakeSnapshot(Driver* driver, SessionOpened* opened) {
  absl::StatusOr<SourceSnapshot> taken = SourceSnapshot::Take(driver, context_, open_, root_, view_.get());
  if (!taken.ok()) {
    outbox_->Fail(ErrorKind::kSelection, "source: " + std::string(ToStd(taken.status().message())));
    return false;
  }
  snapshot_ = *std::move(taken);
  read_root_ = snapshot_.tree() != nullptr ? snapshot_.tree() : root_.directory;
  // The index is of the tree that goes on.
  if (snapshot_.tree() != nullptr) opened->index_seed = 0;
  return true;
}

Task<void> SourceSession::RemoveSnapshot() {
  const absl::Status removed = snapshot_.Remove(Shard::Current()->driver());
  if (!removed.ok())
    LogEvent(LogLevel::kWarn, "a snapshot stays until the next session there",
             {{"directory", root_.full_path}, {"reason", std::string(ToStd(removed.message()))}});
  co_return;
}

void SourceSession::TellWithoutSnapshot(const absl::Status& why) {
  if (told_without_snapshot_.exchange(true)) return;
  Tell(
      "source: files below another file system, or of a kind that cannot be cloned, are read while others may write "
      "to them (" +
      std::string(ToStd(why.message())) + ")");
}

std::optional<ScanLinks> SourceSession::links() const {
  if (!links_) return std::nullopt;
  return ScanLinks{.which = open_.follow_links, .base = *links_};
}

SourceReaderOptions SourceSession::ReaderOptions() {
  SourceReaderOptions options;
  options.digest_seed = DigestSeedOf(open_.token);
  options.leaf_secret = LeafSecretOf(open_.token);
  options.selection = open_.selection;
  const DescriptorBudget budget = DescriptorBudget::OfProcess(context_.runtime->size());
  options.open_files = budget.kept_files;
  options.directories = budget.cached_directories;
  options.generated = generated_.load();
  options.background = open_.background;
  options.page_cache = &page_cache_;
  options.view = view_;
  options.links = links_;
  if (filter_.rules != nullptr) {
    auto gate = std::make_shared<FilterGate>(&filter_, view_);
    options.hides = [gate](Driver* driver, const RelPath& path, bool is_directory, const OpenTreeDirectory& open) {
      return gate->Hides(driver, path, is_directory, open);
    };
  }
  options.direct_io = &direct_io_;
  options.systems = systems_.all();
  options.snapshots = snapshot_.files();
  if (snapshot_.lenient()) {
    options.without_snapshot = [this](const absl::Status& why) { TellWithoutSnapshot(why); };
  }
  if (throttle_ != nullptr) options.piece_bytes = std::min<size_t>(options.piece_bytes, throttle_->unit_bytes());
  return options;
}

absl::StatusOr<std::unique_ptr<SourceReader>> SourceSession::MakeReader(Shard* shard) {
  absl::Status over = cancel_.token().status();
  if (!over.ok()) return over;
  SourceReaderOptions options = ReaderOptions();
  options.throttle = throttle_.get();
  return std::make_unique<SourceReader>(shard->driver(), shard->buffers(), root(), std::move(options));
}

Task<absl::Status> SourceSession::Serve(std::unique_ptr<ReplyChannel> channel) {
  Shard* shard = Shard::Current();
  US_CO_RETURN_IF_ERROR(cancel_.token().status());
  // What is sent is limited, not what is read for it: compressed contents are less.
  SourceReader reader(shard->driver(), shard->buffers(), root(), ReaderOptions());
  SourceServerLimits limits;
  limits.compression = compression_.get();
  limits.throttle = throttle_.get();
  Scope closing;
  absl::Status end;
  {
    ReplyChannel* raw = channel.get();
    CancelToken::Registration registration =
        cancel_.token().OnCancel([&closing, shard, raw] { closing.SpawnOn(shard, CloseChannel(raw)); });
    end = co_await ServeReplies(raw, &reader, limits);
  }
  co_await closing.Join();
  co_return end;
}

absl::Status SourceSession::Connect(const ConnectData& where) {
  if (!opened()) return absl::FailedPreconditionError("ConnectData before the session was opened");
  if (dials_) return absl::FailedPreconditionError("ConnectData came twice");
  dials_.emplace(context_, where, [this](std::string text) { Tell(std::move(text)); });
  const size_t shards = dials_->Shards(SessionShards(open_, context_.runtime->size()));
  size_t count = open_.data_connections > 0 ? open_.data_connections : shards * kConnectionsPerShard;
  count = std::min(count, kMaxConnections);
  for (size_t i = 0; i < count; ++i) running_.SpawnOn(&context_.runtime->shard(i % shards), DialLoop(i % shards));
  return absl::OkStatus();
}

Task<void> SourceSession::LookAtMounts(const MountQuery* query, MountReply* reply) {
  Driver* const driver = Shard::Current()->driver();
  SourceMountOptions options;
  options.root = root_.directory;
  options.view = view_;
  options.one_file_system = open_.one_file_system;
  FilterGate gate(&filter_, view_);
  const auto open = [this, driver](const RelPath& path) { return OpenBeneath(driver, *root_.directory, path); };
  if (filter_.rules != nullptr) {
    options.hides = [&](const RelPath& path) { return gate.Hides(driver, path, true, open).value_or(false); };
  }
  *reply = AnswerMounts(driver, options, *query);
  co_return;
}

MountReply SourceSession::Mounts(const MountQuery& query) {
  MountReply reply;
  BlockOn(&context_.runtime->shard(0), LookAtMounts(&query, &reply));
  return reply;
}

absl::Status SourceSession::Remove(const ActionBatch& batch) {
  if (!open_.remove_sources) return absl::FailedPreconditionError("actions for a source");
  if (batch.phase != Phase::kDelete || batch.sequence != ++removal_batches_)
    return absl::InvalidArgumentError("a batch of removals that is none, or out of sequence");
  for (const Action& action : batch.actions) {
    if (action.kind != ActionKind::kDelete || action.wanted.type == FileType::kDirectory || action.path.is_root())
      return absl::InvalidArgumentError("a source removes nothing but single objects");
  }
  ApplyProgress progress;
  progress.completed_sequence = batch.sequence;
  BlockOn(&context_.runtime->shard(0), RemoveAll(&batch, &progress));
  outbox_->Push(std::move(progress));
  return absl::OkStatus();
}

// Where the action's object is: in a view, of the places where it may be the one that has it.
absl::StatusOr<SourceSession::Located> SourceSession::Find(Driver* driver, DirectoryCache* directories,
                                                           const Action& action) {
  if (view_ == nullptr) {
    Located located{.name = std::string(action.path.name())};
    US_ASSIGN_OR_RETURN(located.directory, directories->Get(action.path.Parent()));
    if (links_) located.links = links_->Below(action.path.text());
    return located;
  }
  for (const TreeView::Place& place : view_->PlacesOf(action.path)) {
    Located located;
    absl::StatusOr<DirectoryPtr> parent = view_->OpenParent(driver, place, &located.name);
    if (!parent.ok()) continue;
    located.directory = *std::move(parent);
    if (view_->follow().any()) {
      US_ASSIGN_OR_RETURN(located.links, view_->FollowBaseOf(driver, place));
    }
    struct statx stat {};
    Entry found;
    const absl::Status looked = located.links ? StatThroughLink(driver, located.place(), &stat)
                                              : StatAt(driver, located.directory->fd(), located.name.c_str(), &stat);
    if (looked.ok() && EntryFromStatx(stat, false, &found) && found.id == action.wanted.id) return located;
  }
  return ErrnoStatus(ENOENT, "find");
}

// A link that stands for the object goes in its place; what it leads to stays.
absl::Status SourceSession::RemoveLocated(Driver* driver, const Located& located, const Entry& wanted) {
  struct statx stat {};
  const int dirfd = located.directory->fd();
  const char* const name = located.name.c_str();
  const bool link = located.links && wanted.type != FileType::kSymlink && StatAt(driver, dirfd, name, &stat).ok() &&
                    S_ISLNK(stat.stx_mode);
  if (!link) return RemoveObject(driver, dirfd, name, wanted);
  const absl::Status pinned = PinFollowed(driver, located.place(), &stat).status();
  // Gone already, by another name.
  if (absl::IsNotFound(pinned)) return absl::OkStatus();
  US_RETURN_IF_ERROR(pinned);
  if (CompareIdentity(IdentityOf(wanted), stat) != IdentityMatch::kSame)
    return MakeStatus(absl::StatusCode::kAborted, "was replaced since it was planned");
  return sys::SysStatus(sys::Unlinkat(driver, dirfd, name, 0), "unlink");
}

Task<void> SourceSession::RemoveAll(const ActionBatch* batch, ApplyProgress* progress) {
  Driver* driver = Shard::Current()->driver();
  DirectoryCache directories(driver, root_.directory, nullptr, DirectoryCache::kDefaultCapacity, links_);
  for (const Action& action : batch->actions) {
    const absl::StatusOr<Located> located = Find(driver, &directories, action);
    Entry wanted = action.wanted;
    wanted.id = snapshot_.Live(wanted.id);
    const absl::Status removed = located.ok() ? RemoveLocated(driver, *located, wanted) : located.status();
    if (removed.ok()) continue;
    Problem problem;
    problem.kind = IsConflict(removed) ? ProblemKind::kChanged : ProblemKind::kFailed;
    problem.side = Side::kSource;
    problem.path = action.path;
    problem.operation = "remove";
    problem.error = StatusErrno(removed);
    if (problem.error == 0) problem.detail = std::string(ToStd(removed.message()));
    problem.action = action.id;
    progress->problems.push_back(std::move(problem));
  }
  co_return;
}

absl::Status SourceSession::Measure(const RunBench& run) {
  if (bench_ == nullptr) {
    BenchSubject subject{.runtime = context_.runtime, .root = root_.directory, .role = Role::kSource};
    subject.shards = SessionShards(open_, context_.runtime->size());
    subject.session = open_.session;
    subject.digest_seed = DigestSeedOf(open_.token);
    subject.selection = open_.selection;
    bench_ = std::make_unique<BenchRunner>(std::move(subject),
                                           [this](BenchReport report) { outbox_->Push(std::move(report)); });
  }
  if (run.step == BenchStep::kNetwork) generated_ = true;
  return bench_->Start(run, {});
}

Task<void> SourceSession::DialLoop(size_t shard) {
  Driver* driver = Shard::Current()->driver();
  CancelToken cancel = cancel_.token();
  Backoff backoff;
  absl::Status last;
  DialPatience patience(open_.ride_out);
  while (!cancel.cancelled()) {
    DataDial dial;
    if (!dials_->Fill(shard, &dial)) co_return;
    dial.cancel = cancel;
    dial.hello = DataHello{kProtocolVersion, open_.session, open_.token, Role::kSource};
    absl::StatusOr<std::unique_ptr<ReplyChannel>> channel =
        co_await DialWithin(driver, dial, dials_->limit(dial), DialReplyChannel);
    last = channel.status();
    if (!channel.ok() && !cancel.cancelled() && dials_->Retreat(dial, last)) continue;
    if (channel.ok()) {
      ever_served_ = true;
      const auto begun = std::chrono::steady_clock::now();
      last = co_await Serve(*std::move(channel));
      // The destination ended it: it has all it wants.
      if (last.ok()) co_return;
      const auto now = std::chrono::steady_clock::now();
      patience.Lost(now);
      if (now - begun > Backoff::kLongest) backoff.Reset();
    } else if (absl::IsPermissionDenied(last) || absl::IsFailedPrecondition(last) ||
               (absl::IsUnauthenticated(last) && !ever_served_)) {
      break;
    } else if (!patience.TryAgain(ever_served_, std::chrono::steady_clock::now())) {
      break;
    }
    bool go_on = co_await backoff.Wait(driver, cancel);
    if (!go_on) co_return;
  }
  // Once there was a connection, the destination judges what it is missing.
  if (!last.ok() && !cancel.cancelled() && !ever_served_.load())
    outbox_->Fail(absl::IsDeadlineExceeded(last) ? ErrorKind::kTimeout : ErrorKind::kProtocol,
                  "source: data connection to " + dials_->host() + ": " + std::string(ToStd(last.message())));
}

void SourceSession::Tell(std::string notice) {
  std::lock_guard lock(notice_mutex_);
  if (!muted_) outbox_->Push(Notice{std::move(notice)});
}

void SourceSession::Break(const std::string& why) {
  std::lock_guard lock(notice_mutex_);
  if (!muted_) outbox_->Fail(ErrorKind::kProtocol, "source: " + why);
}

void SourceSession::Stop() {
  if (stopped_) return;
  stopped_ = true;
  {
    std::lock_guard lock(notice_mutex_);
    muted_ = true;
  }
  systems_.Mute();
  if (throttle_ != nullptr) throttle_->Stop();
  BlockOn(&context_.runtime->shard(0), JoinScope(&opening_));
  if (registered_) context_.table->RemoveSource(open_.session);
  cancel_.Cancel(absl::CancelledError("the source session is over"));
  if (bench_ != nullptr) bench_->Stop();
  BlockOn(&context_.runtime->shard(0), JoinScope(&running_));
  BlockOn(&context_.runtime->shard(0), RemoveSnapshot());
}

}  // namespace uringsync
