#include "agent/apply_worker.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string_view>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/device_file.h"
#include "engine/fs/file.h"

namespace uringsync {
namespace {

// Whether the source's object has attributes that the session keeps.
bool HasXattrs(const Entry& entry) {
  return !entry.xattr_digest.is_zero() || !entry.capability_digest.is_zero() || !entry.trusted_digest.is_zero();
}

// A refusal that tells something of the file system as a whole. Attributes that do not fit (ext4 keeps them in one block) do not.
bool IsRefusalForRoom(const TransferFailure& failure) {
  if (failure.kind != FailureKind::kNoSpace || failure.at_source) return false;
  constexpr std::string_view kOperations[] = {"write", "create", "mkdir", "link", "rename", "fsync", "ftruncate", "fallocate"};
  return std::ranges::find(kOperations, failure.operation) != std::end(kOperations);
}

// Of an object that has the name of a special one already, and is one of its kind: a mode that is not kept stays as it is.
std::optional<uint32_t> ModeOfReplaced(const Action& action) {
  if (!action.existing) return std::nullopt;
  const FileType old = action.existing->type;
  const bool special = old == FileType::kFifo || old == FileType::kSocket;
  const bool same = IsDevice(action.wanted.type) ? IsDevice(old) : special;
  return same ? std::optional(action.existing->mode) : std::nullopt;
}

// A batch is staged again once after a failed fsync, file by file.
constexpr int kMaxStagings = 2;

}  // namespace

ApplyWorker::ApplyWorker(Shard* shard, ApplyShared* shared, ContentSource* source, size_t shards)
    : shared_(shared),
      may_link_unnamed_(MayLinkUnnamed(shared->options.capabilities)),
      budget_(DescriptorBudget::OfProcess(shards)),
      directories_(shard->driver(), shared->root, &shared->directory_epoch, budget_.cached_directories, shared->links()),
      backup_(shared->options.backup ? std::make_unique<BackupKeeper>(shard->driver(), &directories_, *shared->options.backup,
                                                                      shared->options.sync())
                                     : nullptr),
      parts_(shared->options.staging.parts.is_set()
                 ? std::make_unique<PartialFiles>(shard->driver(), &directories_, shared->options.staging.parts)
                 : nullptr),
      context_{shard->driver(), shared, &directories_, backup_.get()},
      receiver_(shard, &shared->receive, source),
      in_place_receiver_(shard, &shared->in_place_receive, source),
      publisher_(shard->driver(), shared->options.sync(),
                 std::clamp(std::min(shared->options.staged_descriptors / std::max<size_t>(shards, 1), budget_.staged),
                            size_t{1}, Publisher::kBatchFiles)),
      slots_(std::min(source->max_concurrency(), budget_.files)),
      slots_held_(&slots_, source->concurrency()) {
  for (const DirectoryPtr& directory : shared->options.basis_directories)
    bases_.push_back(std::make_unique<BasisTree>(shard, shared, directory));
  for (size_t i = 0; i <= bases_.size(); ++i) similar_.emplace_back(shard->driver());
}

Task<void> ApplyWorker::RunLarge() {
  Scope running;
  while (true) {
    absl::Status usable = co_await receiver_.source()->WaitUsable();
    if (!usable.ok()) break;
    SemaphoreUnits turn = co_await large_turn_.Acquire(1);
    std::optional<WorkChunk> chunk = co_await shared_->large_work.Receive();
    if (!chunk.has_value()) break;
    running.Spawn(RunOne(std::move(chunk->actions.front()), chunk->batch, SemaphoreUnits(), std::move(turn)));
  }
  co_await running.Join();
}

Task<void> ApplyWorker::Run() {
  Scope running;
  running.Spawn(RunLarge());
  while (true) {
    // A shard that lost its connections for good leaves the work to the others.
    absl::Status usable = co_await receiver_.source()->WaitUsable();
    if (!usable.ok()) break;
    std::optional<WorkChunk> chunk = shared_->work.TryReceive();
    if (!chunk.has_value()) {
      // Nothing waits: files that are staged need not wait for company.
      publisher_.SetMoreComing(false);
      chunk = co_await shared_->work.Receive();
      if (!chunk.has_value()) break;
    }
    publisher_.SetMoreComing(true);
    if (touched_.size() >= kMaxTouched) co_await SyncTouched();
    if (chunk->deletes) {
      co_await RunDeletes(std::move(chunk->actions), chunk->batch);
      continue;
    }
    slots_held_.Allow(receiver_.source()->concurrency());
    for (Action& action : chunk->actions) {
      SemaphoreUnits slot = co_await slots_.Acquire(1);
      running.Spawn(RunOne(std::move(action), chunk->batch, std::move(slot), SemaphoreUnits()));
    }
  }
  publisher_.SetMoreComing(false);
  co_await running.Join();
  co_await publisher_.Drain();
}

void ApplyWorker::End(const Action& action, const BatchPtr& batch, Failure failure) {
  if (failure.has_value() && !shared_->receive.stopped())
    shared_->report.AddProblem(MakeProblem(action, *std::move(failure)));
  shared_->report.ActionDone(batch);
  shared_->barrier.Done();
}

Task<void> ApplyWorker::RunOne(Action action, BatchPtr batch, SemaphoreUnits slot, SemaphoreUnits turn) {
  Failure failure = co_await PerformPatiently(&action, &slot, std::move(turn));
  End(action, batch, std::move(failure));
}

Task<void> ApplyWorker::RunAlone(const Action* action, BatchPtr batch) {
  SemaphoreUnits none;
  Failure failure = co_await PerformPatiently(action, &none);
  End(*action, batch, std::move(failure));
  if (touched_.size() >= kMaxTouched) co_await SyncTouched();
}

// Nothing of it waits for anything, so it takes no coroutine an action.
Task<void> ApplyWorker::RunDeletes(std::vector<Action> actions, BatchPtr batch) {
  const absl::StatusOr<DirectoryPtr> parent = ParentOf(context_, actions.front().path);
  if (parent.ok()) NoteTouched(actions.front().path.Parent());
  for (const Action& action : actions) {
    Failure failure;
    if (shared_->receive.stopped()) {
      failure = TransferFailure{FailureKind::kFailed, false, "cancel", ECANCELED, {}};
    } else {
      failure = ApplyDelete(context_, action, parent);
    }
    if (failure.has_value() && MayTryAgain(failure->error, 1)) {
      co_await RunAlone(&action, batch);
    } else {
      End(action, batch, std::move(failure));
    }
  }
}

Task<ApplyWorker::Failure> ApplyWorker::MakeDirectory(const Action* action) {
  Failure failure = ApplyMakeDirectory(context_, *action);
  for (int tries = 1; failure.has_value() && MayTryAgain(failure->error, tries); ++tries) {
    co_await FreeDescriptors();
    failure = ApplyMakeDirectory(context_, *action);
  }
  if (!failure.has_value()) NoteTouched(action->path.Parent());
  NoteRoom(*action, failure);
  co_return failure;
}

Task<ApplyWorker::Failure> ApplyWorker::PerformPatiently(const Action* action, SemaphoreUnits* slot,
                                                         SemaphoreUnits turn) {
  Failure failure = co_await Perform(*action, slot, std::move(turn));
  // These have had their tries.
  const bool tried = action->kind == ActionKind::kPutFile || action->kind == ActionKind::kMakeDirectory;
  for (int tries = 1; !tried && failure.has_value() && !failure->at_source && MayTryAgain(failure->error, tries); ++tries) {
    co_await FreeDescriptors();
    failure = co_await Perform(*action, slot);
  }
  if (!tried) NoteRoom(*action, failure);
  co_return failure;
}

Task<ApplyWorker::Failure> ApplyWorker::Perform(const Action& action, SemaphoreUnits* slot, SemaphoreUnits turn) {
  if (shared_->receive.stopped()) co_return TransferFailure{FailureKind::kFailed, false, "cancel", ECANCELED, {}};
  const bool frees = action.kind == ActionKind::kDelete || action.kind == ActionKind::kSetMetadata;
  // The file system is full: the rest ends at once instead of failing one by one.
  if (int full = shared_->receive.full(); full != 0 && !frees) co_return WriteFailure(full, "write");
  switch (action.kind) {
    case ActionKind::kMakeDirectory: co_return co_await MakeDirectory(&action);
    case ActionKind::kPutFile: co_return co_await PutFile(action, slot, std::move(turn));
    case ActionKind::kPutSymlink:
    case ActionKind::kPutSpecial: co_return co_await PutOther(action);
    case ActionKind::kLink: {
      if (action.basis) co_return co_await LinkBasis(action, slot);
      co_return Link(action);
    }
    case ActionKind::kSetMetadata: co_return co_await SetMetadata(action);
    case ActionKind::kDelete: {
      Failure failure = ApplyDelete(context_, action, ParentOf(context_, action.path));
      if (failure.has_value()) co_return failure;
      NoteTouched(action.path.Parent());
      ForgetTouched(action.path);
      co_return std::nullopt;
    }
  }
  co_return TransferFailure{FailureKind::kFailed, false, "action", EINVAL, {}};
}

UnnamedOptions ApplyWorker::UnnamedFor(const Entry& wanted) const {
  UnnamedOptions options;
  options.durable = shared_->options.sync();
  // Nobody can open it before it is complete: it may have its permissions from the start.
  if (shared_->receive.options().selection.mode) options.mode = wanted.mode & 0777;
  // Direct I/O opens a large file a second time.
  if (wanted.size_bytes > kSmallFileBytes) options.mode |= 0600;
  return options;
}

// The temporary of a file, symlink or special object, in a directory that is made writable if need be.
ApplyWorker::Failure ApplyWorker::TryCreateStaged(const Action& action, bool named, StagedObject* staged) {
  absl::StatusOr<DirectoryPtr> parent = ParentOf(context_, action.path);
  if (!parent.ok()) return DestinationFailure(parent.status(), "open");
  StateNamer* namer = shared_->receive.namer();
  auto create = [&]() -> absl::StatusOr<StagedObject> {
    switch (action.kind) {
      case ActionKind::kPutSymlink:
        return StagedObject::CreateSymlink(context_.driver, *parent, namer, action.wanted.symlink_target);
      case ActionKind::kPutSpecial: return StagedObject::CreateSpecial(context_.driver, *parent, namer, action.wanted);
      default: break;
    }
    const DirectoryPtr& elsewhere = shared_->options.staging.temporaries;
    if (elsewhere != nullptr) {
      absl::StatusOr<StagedObject> file = StagedObject::CreateFile(context_.driver, elsewhere, namer);
      if (file.ok()) file->SetTarget(*parent);
      return file;
    }
    if (named || action.existing.has_value() || !may_link_unnamed_)
      return StagedObject::CreateFile(context_.driver, *parent, namer);
    return StagedObject::CreateUnnamedFile(context_.driver, *parent, namer, UnnamedFor(action.wanted));
  };
  absl::StatusOr<StagedObject> created = create();
  if (StatusErrno(created.status()) == EACCES && MakeWritable(context_, **parent)) created = create();
  if (!created.ok()) return DestinationFailure(created.status(), "create");
  *staged = *std::move(created);
  return std::nullopt;
}

Task<ApplyWorker::Failure> ApplyWorker::CreateStaged(const Action* action, bool named, StagedObject* staged) {
  Failure failure = TryCreateStaged(*action, named, staged);
  for (int tries = 1; failure.has_value() && MayTryAgain(failure->error, tries); ++tries) {
    co_await FreeDescriptors();
    failure = TryCreateStaged(*action, named, staged);
  }
  co_return failure;
}

bool ApplyWorker::MayTryAgain(int error, int tries) const {
  return IsOutOfDescriptors(error) && tries <= kMaxDescriptorTries && !shared_->receive.stopped();
}

Task<void> ApplyWorker::FreeDescriptors() {
  directories_.Clear();
  // What is staged need not wait for company that cannot come.
  publisher_.SetMoreComing(false);
  co_await AwaitDescriptor(context_.driver);
}

int ApplyWorker::RoomDescriptor(const Action& action, DirectoryPtr* parent) {
  if (shared_->options.staging.temporaries != nullptr && action.kind == ActionKind::kPutFile) {
    *parent = shared_->options.staging.temporaries;
    return (*parent)->fd();
  }
  absl::StatusOr<DirectoryPtr> opened = ParentOf(context_, action.path);
  *parent = opened.ok() ? *std::move(opened) : shared_->root;
  return (*parent)->fd();
}

void ApplyWorker::NoteRoom(const Action& action, const Failure& failure) {
  if (!failure.has_value() || !IsRefusalForRoom(*failure)) return;
  DirectoryPtr parent;
  shared_->room.Note(context_.driver, RoomDescriptor(action, &parent), failure->error);
}

Task<ApplyWorker::Failure> ApplyWorker::Stage(const Action* action, IncomingFile* file, bool named, StagedObject* staged) {
  Driver* driver = context_.driver;
  // Holes take no room.
  const uint64_t needed = shared_->options.sparse ? std::min(file->wanted.size_bytes, file->wanted.allocated_bytes) : file->wanted.size_bytes;
  for (int tries = 1;; ++tries) {
    DirectoryPtr parent;
    const int fd = RoomDescriptor(*action, &parent);
    // Another file may have filled the file system while this one waited.
    const int refused = co_await shared_->room.Refuses(driver, fd, needed);
    if (refused != 0) co_return WriteFailure(refused, "write");
    publisher_.Begin();
    RoomWatch::Filling filling = shared_->room.Begin();
    bool taken = tries == 1 && action->origin.has_value();
    if (taken) taken = co_await TakeOver(action, file, staged);
    if (taken) co_return std::nullopt;
    Failure failure = co_await CreateStaged(action, named, staged);
    const bool created = !failure.has_value();
    if (created) failure = co_await FillStaged(action, file, staged);
    if (!failure.has_value()) failure = co_await BringHome(action, file, staged);
    if (!failure.has_value()) co_return std::nullopt;
    co_await KeepPart(action, file, staged, failure->kind);
    publisher_.Abandon();
    *staged = StagedObject();
    filling.End();
    if (created && !failure->at_source && MayTryAgain(failure->error, tries)) {
      co_await FreeDescriptors();
      continue;
    }
    if (!IsRefusalForRoom(*failure)) co_return failure;
    const bool again = co_await shared_->room.Judge(driver, fd, failure->error, needed, tries);
    if (!again) co_return failure;
    shared_->receive.counters().retries.fetch_add(1, std::memory_order_relaxed);
  }
}

Task<ApplyWorker::Failure> ApplyWorker::PutFile(const Action& action, SemaphoreUnits* slot, SemaphoreUnits turn) {
  IncomingFile file{action.path, action.wanted, HasXattrs(action.wanted) || action.xattrs_differ, std::nullopt};
  if (action.existing.has_value() && action.existing->type == FileType::kRegular)
    file.replaced_mode = action.existing->mode;
  file.turn = std::move(turn);
  file.keeps_part = KeepsPart(action.wanted);
  file.preallocate = shared_->options.staging.preallocate;
  SemaphoreUnits large_slot;
  if (file.wanted.size_bytes > kSmallFileBytes) large_slot = co_await large_slots_.Acquire(1);
  // A backup needs the old contents for itself.
  const bool device = shared_->options.write_devices && action.existing.has_value() && IsDevice(action.existing->type);
  const bool in_place = device || (shared_->options.in_place && !shared_->options.backup && !action.basis && file.replaced_mode.has_value());
  if (in_place) co_return co_await PutInPlace(&action, &file);
  const bool delay = shared_->options.staging.delay_updates;
  const std::optional<Entry> nothing;
  PublishResult published;
  for (int staging = 1; staging <= kMaxStagings; ++staging) {
    StagedObject staged;
    const bool again = staging > 1;
    // The second time with a name: whatever was wrong, it was not that.
    Failure failure = co_await Stage(&action, &file, /*named=*/again || file.keeps_part || delay, &staged);
    if (failure.has_value()) co_return failure;
    failure = delay ? MakeWait(action, &staged) : KeepBackup(context_, action);
    if (failure.has_value()) {
      publisher_.Abandon();
      co_return failure;
    }
    // Waiting for the batch holds up nobody.
    if (!again) *slot = SemaphoreUnits();
    large_slot = SemaphoreUnits();
    published =
        co_await publisher_.Commit(&staged, LeafName(action.path), delay ? &nothing : &action.existing, file.wanted.size_bytes, again);
    if (!published.stage_again) break;
    shared_->receive.counters().retries.fetch_add(1, std::memory_order_relaxed);
    if (!again && file.wanted.size_bytes <= kSmallFileBytes) *slot = co_await slots_.Acquire(1);
  }
  if (published.stage_again || !published.status.ok()) {
    Failure failure = DestinationFailure(published.status, published.stage_again ? "fsync" : "rename");
    NoteRoom(action, failure);
    co_return failure;
  }
  if (delay) {
    shared_->delayed.Add(action);
  } else if (file.part_bytes > 0 && parts_ != nullptr) {
    parts_->Remove(action.path);
  }
  shared_->files_published.fetch_add(1, std::memory_order_relaxed);
  NoteTouched(action.path.Parent());
  co_return std::nullopt;
}

ApplyWorker::Failure ApplyWorker::PublishNow(const Action& action, StagedObject* staged) {
  Failure kept = KeepBackup(context_, action);
  if (kept.has_value()) return kept;
  absl::Status published = staged->Publish(LeafName(action.path), action.existing);
  if (!published.ok()) return DestinationFailure(published, "rename");
  NoteTouched(action.path.Parent());
  return std::nullopt;
}

Task<ApplyWorker::Failure> ApplyWorker::PutOther(const Action& action) {
  StagedObject staged;
  Failure failure = co_await CreateStaged(&action, /*named=*/false, &staged);
  const bool device = IsDevice(action.wanted.type);
  if (failure.has_value() && device && failure->error == EPERM && !shared_->options.capabilities.can_mknod) {
    shared_->skipped_devices.fetch_add(1, std::memory_order_relaxed);
    shared_->report.AddSkipped(action.id);
    co_return std::nullopt;
  }
  if (failure.has_value()) co_return failure;
  XattrList xattrs;
  const bool with_xattrs = HasXattrs(action.wanted) || action.xattrs_differ;
  if (with_xattrs) {
    failure = co_await receiver_.FetchXattrs(action.path, action.wanted, &xattrs);
    if (failure.has_value()) co_return failure;
  }
  // By name anybody who may write the directory could put an object of their own in its place.
  UniqueFd pinned;
  absl::Status same = PinStaged(context_.driver, staged, action.wanted, &pinned);
  if (!same.ok()) co_return DestinationFailure(same, "stat");
  failure = receiver_.SetMetadata(ObjectHandle::Pinned(pinned.get()), action.wanted, with_xattrs ? &xattrs : nullptr,
                                  {.parent = staged.parent().get(), .replaced_mode = ModeOfReplaced(action)});
  if (failure.has_value()) co_return failure;
  co_return PublishNow(action, &staged);
}

ApplyWorker::Failure ApplyWorker::Link(const Action& action) {
  StagedObject staged;
  Failure failure = StageLink(context_, action, &staged);
  if (failure.has_value() || !staged.valid()) return failure;
  return PublishNow(action, &staged);
}

Task<ApplyWorker::Failure> ApplyWorker::SetMetadata(const Action& action) {
  if (action.wanted.type == FileType::kDirectory && shared_->unmade.Contains(action.path)) {
    shared_->report.AddSkipped(action.id);
    co_return std::nullopt;
  }
  XattrList xattrs;
  if (action.xattrs_differ) {
    Failure fetched = co_await receiver_.FetchXattrs(action.path, action.wanted, &xattrs);
    if (fetched.has_value()) co_return fetched;
  }
  const bool directory = action.wanted.type == FileType::kDirectory;
  // Pinned before it is looked at: what is changed below is what was found to be the planned object.
  UniqueFd pinned;
  DirectoryPtr parent = shared_->root;
  ObjectHandle object = ObjectHandle::Pinned(parent->fd());
  if (!action.path.is_root()) {
    absl::StatusOr<DirectoryPtr> opened = ParentOf(context_, action.path);
    if (!opened.ok()) co_return DestinationFailure(opened.status(), "open");
    parent = *opened;
    absl::Status found = PinObject(context_, parent->fd(), action, &pinned);
    if (!found.ok()) co_return DestinationFailure(found, "stat");
    object = ObjectHandle::Pinned(pinned.get());
  }
  // Only a directory that this run made has nothing that it was planned against.
  const bool made = directory && !action.existing.has_value();
  Failure failure = receiver_.SetMetadata(object, action.wanted, action.xattrs_differ ? &xattrs : nullptr,
                                          {.parent = made ? parent.get() : nullptr, .replaced_mode = std::nullopt});
  if (!failure.has_value()) NoteTouched(directory ? action.path : action.path.Parent());
  co_return failure;
}

void ApplyWorker::NoteTouched(const RelPath& directory) {
  if (!shared_->options.sync() || last_touched_ == directory.text()) return;
  last_touched_ = directory.text();
  touched_.insert(directory.text());
}

void ApplyWorker::ForgetTouched(const RelPath& directory) {
  if (!shared_->options.sync() || directory.is_root()) return;
  touched_.erase(directory.text());
}

Task<void> ApplyWorker::SyncDirectory(std::string path, [[maybe_unused]] SemaphoreUnits slot) {
  absl::StatusOr<RelPath> relative = RelPath::Parse(path);
  if (!relative.ok()) co_return;
  // Past the shard's cache, which should keep what files are written into.
  const auto open = [this, &relative] {
    return DirectoryCache(context_.driver, shared_->root, nullptr, 1, shared_->links()).Get(*relative);
  };
  absl::StatusOr<DirectoryPtr> directory = open();
  for (int tries = 1; MayTryAgain(StatusErrno(directory.status()), tries); ++tries) {
    co_await FreeDescriptors();
    directory = open();
  }
  // Removed since: its parent is synced too.
  if (!directory.ok() && StatusErrno(directory.status()) == ENOENT) co_return;
  absl::Status synced = directory.status();
  if (synced.ok() && !(*directory)->readable())
    synced = absl::PermissionDeniedError("the directory cannot be opened for reading");
  if (synced.ok()) synced = co_await SyncFile(context_.driver, (*directory)->fd());
  if (synced.ok()) co_return;
  shared_->sync_incomplete = true;
  if (StatusErrno(synced) == 0) co_return;
  Problem problem;
  problem.path = *relative;
  problem.operation = "fsync";
  problem.error = StatusErrno(synced);
  shared_->report.AddProblem(std::move(problem));
}

Task<void> ApplyWorker::FinishBackups() {
  if (backup_ != nullptr) backup_->FinishDirectories();
  co_return;
}

Task<void> ApplyWorker::SyncTouched() {
  std::unordered_set<std::string> touched = std::exchange(touched_, {});
  last_touched_.clear();
  Scope syncs;
  Semaphore parallel(std::min(kParallelSyncs, budget_.files));
  for (const std::string& path : touched) {
    SemaphoreUnits slot = co_await parallel.Acquire(1);
    syncs.Spawn(SyncDirectory(path, std::move(slot)));
  }
  co_await syncs.Join();
  if (backup_ == nullptr) co_return;
  absl::Status backups = co_await backup_->Sync();
  if (!backups.ok()) shared_->sync_incomplete = true;
}

}  // namespace uringsync
