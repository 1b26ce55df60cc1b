// What ApplyWorker does with parts of files: keeps them when the session breaks off, and goes on from what an earlier one kept.
#include <utility>

#include "agent/apply_worker.h"
#include "engine/base/errno_status.h"
#include "engine/fs/file.h"

namespace uringsync {

bool ApplyWorker::KeepsPart(const Entry& wanted) const {
  // Of a small file nothing arrives before all of it does.
  return (shared_->options.staging.keep_partial || shared_->options.in_place) && wanted.size_bytes > kSmallFileBytes;
}

std::shared_ptr<const DeltaBasis> ApplyWorker::OpenPart(const Action& action, const Directory& parent) {
  const StagingTarget& staging = shared_->options.staging;
  const DeltaPolicy policy = shared_->options.delta;
  if (!staging.keep_partial || policy == DeltaPolicy::kOff || !MayUseDelta(policy, action.wanted.size_bytes, action.wanted.size_bytes))
    return nullptr;
  if (parts_ != nullptr) return parts_->Open(action.path, &shared_->receive.direct_io());
  // What has the final name may be the old file as well; the receiver looks.
  const bool may = action.existing.has_value() && action.existing->type == FileType::kRegular &&
                   action.existing->size_bytes < action.wanted.size_bytes;
  if (!may) return nullptr;
  std::shared_ptr<DeltaBasis> basis =
      OpenBasis(context_.driver, parent.fd(), LeafName(action.path), *action.existing, &shared_->receive.direct_io());
  if (basis != nullptr) basis->part = true;
  return basis;
}

Task<void> ApplyWorker::KeepPart(const Action* action, const IncomingFile* file, StagedObject* staged, FailureKind why) {
  // A file that failed for a reason of its own would fail again.
  const bool broken_off = why == FailureKind::kConnection || shared_->receive.stopped();
  if (!file->keeps_part || !broken_off || !staged->valid() || file->arrived_bytes <= file->part_bytes) co_return;
  Driver* driver = context_.driver;
  if (!TruncateTo(driver, staged->fd(), file->arrived_bytes).ok()) co_return;
  // Older than everything: no comparison takes it for the whole file, and --update does not keep it.
  Entry wanted = file->wanted;
  wanted.mtime = FileTime();
  wanted.atime.reset();
  static_cast<void>(receiver_.SetMetadata(staged->handle(), wanted, nullptr,
                                          {.parent = staged->parent().get(), .replaced_mode = file->replaced_mode}));
  if (shared_->options.sync()) {
    absl::Status synced = co_await SyncFile(driver, staged->fd());
    if (!synced.ok()) co_return;
  }
  if (parts_ != nullptr) {
    static_cast<void>(parts_->Keep(staged, action->path));
  } else if (!KeepBackup(context_, *action).has_value()) {
    static_cast<void>(staged->Publish(LeafName(action->path), action->existing));
  }
}

}  // namespace uringsync
