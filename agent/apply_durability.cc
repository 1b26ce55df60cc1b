// What ApplyWorker makes durable when files have their names: the directories in which names changed, and backups.
#include <algorithm>
#include <string>
#include <utility>

#include "agent/apply_worker.h"
#include "engine/base/errno_status.h"
#include "engine/fs/file.h"

namespace uringsync {

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

Task<void> ApplyWorker::RestoreModes() {
  shared_->loosened.Restore(context_.driver, context_.directories);
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
