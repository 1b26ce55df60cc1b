// What ApplyWorker makes durable when objects have their names: the directories in which names changed, attributes that
// were set in place, and backups.
#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "agent/apply_worker.h"
#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/file.h"

namespace uringsync {

void ApplyWorker::Touch(PathSyncs::Kind kind, const RelPath& path) {
  // What is made durable one by one is so before its action ends.
  if (!shared_->options.sync() || shared_->options.sync_each()) return;
  touched_.emplace(kind, path.text());
}

void ApplyWorker::NoteTouched(const RelPath& directory) {
  if (last_touched_ == directory.text()) return;
  last_touched_ = directory.text();
  Touch(PathSyncs::Kind::kDirectory, directory);
}

void ApplyWorker::ForgetTouched(const RelPath& directory) {
  if (directory.is_root()) return;
  if (last_touched_ == directory.text()) last_touched_.reset();
  touched_.erase({PathSyncs::Kind::kDirectory, directory.text()});
}

// An fsync of a directory writes the names in it, not what the inodes behind them are.
ApplyWorker::SyncTarget ApplyWorker::AttributesOf(const Action& action) {
  switch (action.wanted.type) {
    case FileType::kDirectory: return {PathSyncs::Kind::kDirectory, action.path};
    case FileType::kRegular: return {PathSyncs::Kind::kFile, action.path};
    default: return {PathSyncs::Kind::kFileSystem, action.path.Parent()};
  }
}

void ApplyWorker::NoteAttributes(const Action& action) {
  const SyncTarget target = AttributesOf(action);
  Touch(target.kind, target.path);
}

Task<absl::Status> ApplyWorker::SyncPatiently(PathSyncs::Kind kind, RelPath path) {
  PassKillPoint(KillPoint::kSyncPath);
  absl::Status synced = co_await path_syncs_.Sync(kind, path);
  for (int tries = 1; MayTryAgain(StatusErrno(synced), tries); ++tries) {
    co_await FreeDescriptors();
    synced = co_await path_syncs_.Sync(kind, path);
  }
  PassKillPoint(KillPoint::kSyncedPath);
  co_return synced;
}

// Where one of them could not be synced, nobody is told again that all are.
Task<absl::Status> ApplyWorker::SyncBackups() {
  if (backup_ == nullptr) co_return absl::OkStatus();
  const SemaphoreUnits turn = co_await sync_turn_.Acquire(1);
  const absl::Status synced = co_await backup_->Sync();
  if (backups_synced_.ok()) backups_synced_ = synced;
  co_return backups_synced_;
}

Task<ApplyWorker::Failure> ApplyWorker::MakeDurable(const Action* action) {
  if (!shared_->options.sync_each()) co_return std::nullopt;
  SyncTarget target{PathSyncs::Kind::kDirectory, action->path.Parent()};
  if (action->kind == ActionKind::kSetMetadata) target = AttributesOf(*action);
  absl::Status synced = co_await SyncPatiently(target.kind, target.path);
  if (synced.ok()) synced = co_await SyncBackups();
  if (synced.ok()) co_return std::nullopt;
  shared_->sync_incomplete = true;
  TransferFailure failure{FailureKind::kFailed, false, "fsync", StatusErrno(synced), {}};
  failure.detail = failure.error == 0 ? std::string(ToStd(synced.message())) : "it is in place, but may not be on disk";
  co_return failure;
}

Task<void> ApplyWorker::EndDurably(Action action, BatchPtr batch, Failure failure) {
  if (!failure.has_value()) failure = co_await MakeDurable(&action);
  End(action, batch, std::move(failure));
}

Task<void> ApplyWorker::SyncPath(PathSyncs::Kind kind, std::string text) {
  absl::StatusOr<RelPath> path = RelPath::Parse(text);
  if (!path.ok()) co_return;
  const absl::Status synced = co_await SyncPatiently(kind, *path);
  if (synced.ok()) co_return;
  shared_->sync_incomplete = true;
  // Told once for the file system; the state that the run ends with says it too.
  if (IsUnsyncable(synced) && kind == PathSyncs::Kind::kDirectory) co_return;
  AddSyncProblem(*path, kind == PathSyncs::Kind::kFileSystem ? "syncfs" : "fsync", synced);
}

void ApplyWorker::AddSyncProblem(const RelPath& path, std::string operation, const absl::Status& synced) {
  Problem problem;
  problem.path = path;
  problem.operation = std::move(operation);
  problem.error = StatusErrno(synced);
  problem.detail = problem.error == 0 ? std::string(ToStd(synced.message()))
                                      : "what the run changed there is in place, but may not be on disk";
  shared_->report.AddProblem(std::move(problem));
}

Task<void> ApplyWorker::FinishBackups() {
  if (backup_ != nullptr) backup_->FinishDirectories();
  co_return;
}

Task<void> ApplyWorker::RestoreModes() {
  shared_->loosened.Restore(context_.driver, context_.directories);
  co_return;
}

Task<void> ApplyWorker::SyncTouched() {
  const absl::Status backups = co_await SyncBackups();
  if (IsUnsyncable(backups)) shared_->sync_incomplete = true;
  if (!backups.ok() && !shared_->sync_incomplete.exchange(true)) AddSyncProblem(RelPath(), "fsync of backups", backups);
  // Whoever comes second may count on what the first one took.
  const SemaphoreUnits turn = co_await sync_turn_.Acquire(1);
  const std::set<std::pair<PathSyncs::Kind, std::string>> touched = std::exchange(touched_, {});
  last_touched_.reset();
  Scope syncs;
  for (const auto& [kind, path] : touched) syncs.Spawn(SyncPath(kind, path));
  co_await syncs.Join();
}

}  // namespace uringsync
