// What ApplyWorker does with files on their way to their names: parts are kept when the session breaks off, and made
// whole by a later one; files may be put together elsewhere, and wait for each other.
#include <cerrno>
#include <utility>
#include <vector>

#include "agent/apply_worker.h"
#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/file.h"

namespace uringsync {

bool ApplyWorker::KeepsPart(const Entry& wanted) const {
  // Of a small file nothing arrives before all of it does.
  return (shared_->options.staging.keep_partial || shared_->options.in_place) && wanted.size_bytes > kSmallFileBytes;
}

std::shared_ptr<const DeltaBasis> ApplyWorker::OpenPart(const Action& action, const Directory& parent) {
  const StagingTarget& staging = shared_->options.staging;
  const DeltaPolicy policy = shared_->options.delta;
  if (!staging.keep_partial || policy == DeltaPolicy::kOff ||
      !MayUseDelta(policy, action.wanted.size_bytes, action.wanted.size_bytes))
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

Task<bool> ApplyWorker::KeepPart(const Action* action, const IncomingFile* file, StagedObject* staged,
                                 FailureKind why) {
  // A file that failed for a reason of its own would fail again; one that found no room may find some next time.
  const bool full = why == FailureKind::kNoSpace && shared_->options.staging.keep_partial;
  const bool broken_off = full || why == FailureKind::kConnection || shared_->receive.stopped();
  if (!file->keeps_part || !broken_off || !staged->valid() || file->arrived_bytes <= file->part_bytes) co_return false;
  Driver* driver = context_.driver;
  if (!TruncateTo(driver, staged->fd(), file->arrived_bytes).ok()) co_return false;
  // Older than everything: no comparison takes it for the whole file, and --update does not keep it.
  Entry wanted = file->wanted;
  wanted.mtime = FileTime();
  wanted.atime.reset();
  wanted.size_bytes = file->arrived_bytes;
  const IncomingFile part{.path = action->path, .wanted = wanted, .replaced_mode = file->replaced_mode};
  const Failure home = co_await BringHome(action, &part, staged);
  if (home.has_value()) co_return false;
  static_cast<void>(receiver_.SetMetadata(staged->handle(), wanted, nullptr,
                                          {.parent = staged->parent().get(), .replaced_mode = file->replaced_mode}));
  if (shared_->options.sync()) {
    absl::Status synced = co_await SyncFile(driver, staged->fd());
    if (!synced.ok()) co_return false;
  }
  if (parts_ != nullptr) co_return parts_->Keep(staged, action->path).ok();
  if (KeepBackup(context_, *action).has_value()) co_return false;
  co_return staged->Publish(LeafName(action->path), action->existing.ToOptional()).ok();
}

ApplyWorker::Failure ApplyWorker::MakeWait(const Action& action, StagedObject* staged) {
  if (parts_ == nullptr) return TransferFailure{FailureKind::kFailed, false, "rename", EINVAL, {}};
  absl::StatusOr<DirectoryPtr> place = parts_->MakeRoom(action.path);
  if (!place.ok()) return DestinationFailure(place.status(), "mkdir");
  staged->SetTarget(*std::move(place));
  return std::nullopt;
}

Task<void> ApplyWorker::PublishDelayed() {
  std::vector<Action> actions = shared_->delayed.Take();
  for (const Action& action : actions) {
    // They stay where they are, and are a help to the next session.
    if (shared_->receive.stopped()) co_return;
    PassKillPoint(KillPoint::kDelayedPublish);
    absl::StatusOr<DirectoryPtr> parent = ParentOf(context_, action.path);
    absl::StatusOr<StagedObject> waiting =
        parent.ok() ? parts_->Take(action.path, *std::move(parent)) : absl::StatusOr<StagedObject>(parent.status());
    Failure failure =
        waiting.ok() ? PublishNow(action, &*waiting) : Failure(DestinationFailure(waiting.status(), "open"));
    if (failure.has_value()) shared_->report.AddProblem(MakeProblem(action, *std::move(failure)));
  }
  // By now they are empty, but for what other sessions left.
  for (const Action& action : actions) parts_->RemoveDirectory(action.path);
}

Task<ApplyWorker::Failure> ApplyWorker::BringHome(const Action* action, const IncomingFile* file,
                                                  StagedObject* staged) {
  if (staged->target() == staged->parent()) co_return std::nullopt;
  Driver* driver = context_.driver;
  struct statx there{};
  struct statx here{};
  absl::Status looked = StatDescriptor(driver, staged->parent()->fd(), &there);
  if (looked.ok()) looked = StatDescriptor(driver, staged->target()->fd(), &here);
  if (!looked.ok()) co_return DestinationFailure(looked, "stat");
  if (there.stx_dev_major == here.stx_dev_major && there.stx_dev_minor == here.stx_dev_minor) co_return std::nullopt;
  const DirectoryPtr home = staged->target();
  absl::StatusOr<StagedObject> copy = StagedObject::CreateFile(driver, home, shared_->receive.namer());
  if (StatusErrno(copy.status()) == EACCES && MakeWritable(context_, *home, action->path.Parent()))
    copy = StagedObject::CreateFile(driver, home, shared_->receive.namer());
  if (!copy.ok()) co_return DestinationFailure(copy.status(), "create");
  absl::Status copied = co_await CopyData(driver, staged->fd(), copy->fd(), file->wanted.size_bytes);
  if (!copied.ok()) co_return DestinationFailure(copied, "write");
  XattrList xattrs;
  if (file->want_xattrs) {
    Failure fetched = co_await receiver_.FetchXattrs(action->path, file->wanted, &xattrs);
    if (fetched.has_value()) co_return fetched;
  }
  Failure set = receiver_.SetMetadata(copy->handle(), file->wanted, file->want_xattrs ? &xattrs : nullptr,
                                      {.parent = home.get(), .replaced_mode = file->replaced_mode});
  if (set.has_value()) co_return set;
  *staged = *std::move(copy);
  co_return std::nullopt;
}

}  // namespace uringsync
