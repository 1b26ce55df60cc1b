// What ApplyWorker does with objects that have no contents of their own, and with the attributes of all.
#include <cerrno>
#include <utility>

#include "agent/apply_worker.h"
#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/device_file.h"
#include "engine/fs/file.h"
#include "engine/fs/metadata.h"

namespace uringsync {
namespace {

// Of the object whose name a special one takes: a mode that is not kept stays as it is. A link has none.
std::optional<uint32_t> ModeOfReplaced(const Action& action) {
  if (!action.existing) return std::nullopt;
  const FileType old = action.existing->type;
  const bool none = old == FileType::kSymlink || old == FileType::kDirectory;
  return none ? std::nullopt : std::optional(action.existing->mode);
}

}  // namespace

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
  if (failure.has_value() && !IsOwnerRefused(*failure)) co_return failure;
  PassKillPoint(KillPoint::kStageOther);
  Failure published = PublishNow(action, &staged);
  co_return published.has_value() ? published : failure;
}

ApplyWorker::Failure ApplyWorker::Link(const Action& action) {
  StagedObject staged;
  Failure failure = StageLink(context_, action, &staged);
  if (failure.has_value() || !staged.valid()) return failure;
  PassKillPoint(KillPoint::kStageLink);
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
  PassKillPoint(KillPoint::kSetMetadata);
  if (!failure.has_value()) NoteAttributes(action);
  co_return failure;
}

Task<ApplyWorker::Failure> ApplyWorker::SetSharedMetadata(Action action) {
  const Entry planned = *action.existing;
  SemaphoreUnits turn = co_await shared_->in_place_inodes.Turn(planned.id);
  // Contents come with their own, and count as if they came later.
  if (shared_->in_place_inodes.HasLater(planned.id, 0)) co_return std::nullopt;
  RefreshInode(&action);
  Failure failure = co_await SetMetadata(action);
  const absl::StatusOr<DirectoryPtr> parent = ParentOf(context_, action.path);
  struct statx now{};
  if (parent.ok() && StatAt(context_.driver, (*parent)->fd(), LeafName(action.path), &now).ok())
    shared_->in_place_inodes.Leave(planned.id, now, 0);
  co_return failure;
}

}  // namespace uringsync
