#include "agent/apply_worker.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/device_file.h"

namespace uringsync {
namespace {

// A batch is staged again once after a failed fsync, file by file.
constexpr int kMaxStagings = 2;

}  // namespace

ApplyWorker::ApplyWorker(Shard* shard, ApplyShared* shared, ContentSource* source, size_t shards)
    : shared_(shared),
      may_link_unnamed_(MayLinkUnnamed(shared->options.capabilities)),
      budget_(DescriptorBudget::OfProcess(shards)),
      directories_(shard->driver(), shared->root, &shared->directory_epoch, budget_.cached_directories,
                   shared->links()),
      backup_(shared->options.backup ? std::make_unique<BackupKeeper>(shard->driver(), &directories_,
                                                                      *shared->options.backup, shared->options.sync())
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
      slots_held_(&slots_, source->concurrency()),
      path_syncs_(shard->driver(), shared->root, shared->links(), std::min(kParallelSyncs, budget_.files),
                  shared->options.sync_each() ? PathSyncs::Gone::kClimb : PathSyncs::Gone::kIsFine) {
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
  RefreshInode(&action);
  Failure failure = co_await PerformPatiently(&action, &slot, std::move(turn));
  slot = SemaphoreUnits();
  if (!failure.has_value()) failure = co_await MakeDurable(&action);
  End(action, batch, std::move(failure));
}

Task<void> ApplyWorker::RunAlone(const Action* planned, BatchPtr batch, Scope* ends) {
  SemaphoreUnits none;
  Action action = *planned;
  RefreshInode(&action);
  Failure failure = co_await PerformPatiently(&action, &none);
  if (shared_->options.sync_each()) {
    ends->Spawn(EndDurably(std::move(action), batch, std::move(failure)));
    co_return;
  }
  End(action, batch, std::move(failure));
  if (touched_.size() >= kMaxTouched) co_await SyncTouched();
}

// Nothing of it waits for anything, so it takes no coroutine an action.
Task<void> ApplyWorker::RunDeletes(std::vector<Action> actions, BatchPtr batch) {
  const absl::StatusOr<DirectoryPtr> parent = ParentOf(context_, actions.front().path);
  if (parent.ok()) NoteTouched(actions.front().path.Parent());
  Scope ends;
  for (Action& action : actions) {
    RefreshInode(&action);
    Failure failure;
    if (shared_->receive.stopped()) {
      failure = TransferFailure{FailureKind::kFailed, false, "cancel", ECANCELED, {}};
    } else {
      failure = ApplyDelete(context_, action, parent);
    }
    if (failure.has_value() && MayTryAgain(failure->error, 1)) {
      co_await RunAlone(&action, batch, &ends);
    } else if (shared_->options.sync_each()) {
      ends.Spawn(EndDurably(std::move(action), batch, std::move(failure)));
    } else {
      End(action, batch, std::move(failure));
    }
  }
  co_await ends.Join();
}

Task<ApplyWorker::Failure> ApplyWorker::MakeDirectory(const Action* action) {
  Failure failure = ApplyMakeDirectory(context_, *action);
  for (int tries = 1; failure.has_value() && MayTryAgain(failure->error, tries); ++tries) {
    co_await FreeDescriptors();
    failure = ApplyMakeDirectory(context_, *action);
  }
  failure = co_await AgainWithRoom(
      action, std::move(failure), [this, action]() -> Task<Failure> { co_return ApplyMakeDirectory(context_, *action); });
  if (!failure.has_value()) NoteTouched(action->path.Parent());
  co_return failure;
}

Task<ApplyWorker::Failure> ApplyWorker::PerformPatiently(const Action* action, SemaphoreUnits* slot,
                                                         SemaphoreUnits turn) {
  Failure failure = co_await Perform(*action, slot, std::move(turn));
  // These have had their tries.
  const bool tried = action->kind == ActionKind::kPutFile || action->kind == ActionKind::kMakeDirectory;
  for (int tries = 1; !tried && failure.has_value() && !failure->at_source && MayTryAgain(failure->error, tries);
       ++tries) {
    co_await FreeDescriptors();
    failure = co_await Perform(*action, slot);
  }
  // What is linked from a basis may be copied instead, which has its tries too.
  if (!tried && !action->basis) {
    failure = co_await AgainWithRoom(
        action, std::move(failure), [this, action, slot]() -> Task<Failure> { co_return co_await Perform(*action, slot); });
  } else if (!tried) {
    NoteRoom(*action, failure);
  }
  co_return failure;
}

Task<ApplyWorker::Failure> ApplyWorker::Perform(const Action& action, SemaphoreUnits* slot, SemaphoreUnits turn) {
  if (shared_->receive.stopped()) co_return TransferFailure{FailureKind::kFailed, false, "cancel", ECANCELED, {}};
  MakeWay(action);
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
    case ActionKind::kSetMetadata: {
      if (SharesInode(action)) co_return co_await SetSharedMetadata(action);
      co_return co_await SetMetadata(action);
    }
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

void ApplyWorker::NotePublished(const Action& action, const IncomingFile& file) {
  shared_->files_published.fetch_add(1, std::memory_order_relaxed);
  NoteTouched(action.path.Parent());
  if (file.unset.has_value()) shared_->report.AddProblem(MakeProblem(action, *file.unset));
  if (!file.accept_moving) return;
  Problem told = MakeProblem(action, {.at_source = true, .operation = "read", .detail = {}});
  told.kind = ProblemKind::kUnstable;
  shared_->report.AddProblem(std::move(told));
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
  const bool in_place = device || (shared_->options.in_place && !shared_->options.backup && !action.basis &&
                                   file.replaced_mode.has_value());
  if (in_place && shared_->options.readback) file.written = std::make_shared<WrittenContents>();
  if (in_place) co_return co_await PutInPlace(&action, &file);
  const bool delay = shared_->options.staging.delay_updates;
  const std::optional<Entry> displaced = delay ? std::nullopt : action.existing.ToOptional();
  PublishResult published;
  for (int staging = 1; staging <= kMaxStagings; ++staging) {
    StagedObject staged;
    if (shared_->options.readback) file.written = std::make_shared<WrittenContents>();
    const bool again = staging > 1;
    // The second time with a name: whatever was wrong, it was not that.
    const bool named = again || file.keeps_part || delay || IsWrittenDown(action.wanted);
    Failure failure = co_await Stage(&action, &file, named, &staged);
    if (failure.has_value()) co_return failure;
    failure = co_await ReadAgain(&file, &staged);
    if (failure.has_value()) {
      publisher_.Abandon();
      if (IsWrittenDown(action.wanted)) shared_->options.resume->Forget(staged.temporary_name());
      if (again || shared_->receive.stopped()) co_return failure;
      shared_->files_restaged.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    const std::string temporary = staged.temporary_name();
    failure = delay ? MakeWait(action, &staged) : KeepBackup(context_, action);
    if (failure.has_value()) {
      publisher_.Abandon();
      co_return failure;
    }
    // Waiting for the batch holds up nobody.
    if (!again) *slot = SemaphoreUnits();
    large_slot = SemaphoreUnits();
    published = co_await publisher_.Commit(&staged, LeafName(action.path), &displaced,
                                           file.wanted.size_bytes, again);
    if (IsWrittenDown(action.wanted)) shared_->options.resume->Forget(temporary);
    const int error = StatusErrno(published.status);
    const bool no_room = !published.stage_again && (error == ENOSPC || error == EDQUOT);
    // Its directory could not take the name; what others give back may help.
    if (no_room) NoteRoom(action, DestinationFailure(published.status, "rename"));
    if (!published.stage_again && !no_room) break;
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
  } else if (parts_ != nullptr && shared_->options.staging.keep_partial) {
    // Whether or not it was of use: an earlier run's is of none now.
    parts_->Remove(action.path);
  }
  NotePublished(action, file);
  co_return std::nullopt;
}

Task<ApplyWorker::Failure> ApplyWorker::ReadAgain(const IncomingFile* file, const StagedObject* staged) {
  if (file->written == nullptr) co_return std::nullopt;
  const absl::Status right =
      co_await shared_->readback.Check(receiver_.shard(), staged->fd(), file->wanted.size_bytes, file->written.get());
  if (right.ok()) {
    shared_->files_verified.fetch_add(1, std::memory_order_relaxed);
    co_return std::nullopt;
  }
  const bool differs = StatusErrno(right) == 0;
  co_return TransferFailure{.kind = differs ? FailureKind::kIntegrity : FailureKind::kFailed,
                            .operation = "readback",
                            .error = StatusErrno(right),
                            .detail = std::string(ToStd(right.message()))};
}

ApplyWorker::Failure ApplyWorker::PublishNow(const Action& action, StagedObject* staged) {
  Failure kept = KeepBackup(context_, action);
  if (kept.has_value()) return kept;
  absl::Status published = staged->Publish(LeafName(action.path), action.existing.ToOptional());
  if (!published.ok()) return DestinationFailure(published, "rename");
  NoteTouched(action.path.Parent());
  return std::nullopt;
}

}  // namespace uringsync
