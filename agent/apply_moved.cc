// How ApplyWorker makes a file from one that the destination has under another name (Action::origin).
#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "agent/apply_worker.h"
#include "engine/base/errno_status.h"
#include "engine/base/time_range.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"
#include "engine/transfer/rest_check.h"
#include "engine/transfer/same_contents.h"

namespace uringsync {
namespace {

using Fate = ActionOrigin::Fate;

bool HasAttributes(const Entry& entry) {
  return !entry.xattr_digest.is_zero() || !entry.capability_digest.is_zero() || !entry.trusted_digest.is_zero();
}

}  // namespace

void ApplyWorker::HoldOrigins(const std::vector<Action>& actions) {
  for (const Action& action : actions) {
    if (!action.origin || action.origin->fate != Fate::kReplaced || shared_->options.source_is_near ||
        shared_->held.full())
      continue;
    const RelPath& path = action.origin->path;
    const absl::StatusOr<DirectoryPtr> parent = ParentOf(context_, path);
    if (!parent.ok()) continue;
    absl::StatusOr<StagedObject> second =
        StagedObject::CreateLink(context_.driver, *parent, shared_->receive.namer(), **parent, LeafName(path));
    // No link, no hold: who comes too late has the file sent.
    if (second.ok()) shared_->held.Add(action.id, {path.Parent(), second->Release()});
  }
}

void ApplyWorker::DropHeld() {
  for (auto& [action, name] : shared_->held.TakeAll()) {
    const absl::StatusOr<DirectoryPtr> parent = directories_.Get(name.directory);
    if (parent.ok()) static_cast<void>(StagedObject::Of(context_.driver, *parent, std::move(name.temporary)).Discard());
  }
}

std::shared_ptr<DeltaBasis> ApplyWorker::OpenOrigin(const Action& action) {
  const ActionOrigin& origin = *action.origin;
  std::shared_ptr<DeltaBasis> basis;
  DirectIo* const direct_io = &shared_->receive.direct_io();
  if (std::optional<ApplyShared::HeldFiles::Name> held = shared_->held.Take(action.id)) {
    const absl::StatusOr<DirectoryPtr> parent = directories_.Get(held->directory);
    if (!parent.ok()) return nullptr;
    StagedObject second = StagedObject::Of(context_.driver, *parent, std::move(held->temporary));
    basis = OpenBasis(context_.driver, (*parent)->fd(), second.temporary_name().c_str(), origin.object, direct_io);
  } else {
    const absl::StatusOr<DirectoryPtr> parent = ParentOf(context_, origin.path);
    if (parent.ok())
      basis = OpenBasis(context_.driver, (*parent)->fd(), LeafName(origin.path), origin.object, direct_io);
  }
  if (basis != nullptr) basis->part = basis->moved = true;
  return basis;
}

bool ApplyWorker::LooksFresh(const Action& action, const Directory& parent, int fd, const struct statx& now) {
  const MetadataSelection& selection = shared_->options.selection;
  const ProcessCapabilities& capabilities = shared_->options.capabilities;
  // The time has to stay: by it the delete of the old name knows the object.
  const FileTime wanted =
      TruncateTime(shared_->options.time_range.Clamp(action.wanted.mtime), shared_->options.time_granularity_ns);
  if (!selection.mtime || action.origin->object.mtime != wanted || now.stx_nlink != 1) return false;
  struct statx directory{};
  if (!StatDescriptor(context_.driver, parent.fd(), &directory).ok()) return false;
  const bool sets_owner = selection.owner && capabilities.can_chown;
  if (!sets_owner && now.stx_uid != capabilities.uid) return false;
  const uint32_t fresh_group = (directory.stx_mode & S_ISGID) != 0 ? directory.stx_gid : capabilities.gid;
  const bool right_group = now.stx_gid == fresh_group || (selection.group && now.stx_gid == action.wanted.gid);
  if (!(selection.group && capabilities.can_chown) && !right_group) return false;
  // Attributes of classes that the session does not keep would stay.
  XattrAccess xattrs(context_.driver);
  MetadataSelection every;
  every.xattrs = every.acls = true;
  XattrDigests all;
  XattrDigests kept;
  const ObjectHandle object = ObjectHandle::OfFd(fd);
  if (xattrs.Digest(object, every, &all) != 0 || xattrs.Digest(object, selection, &kept) != 0) return false;
  return all.ordinary == kept.ordinary && all.capability == kept.capability && all.trusted == kept.trusted;
}

Task<bool> ApplyWorker::CompleteTaken(const Action* action, const IncomingFile* file, StagedObject* staged) {
  XattrList xattrs;
  const bool has_some = HasAttributes(action->origin->object);
  if (file->want_xattrs) {
    Failure fetched = co_await receiver_.FetchXattrs(file->path, file->wanted, &xattrs);
    if (fetched.has_value()) co_return false;
  }
  const Receiver::Made made{.parent = staged->parent().get(), .replaced_mode = file->replaced_mode, .target = nullptr};
  const XattrList* const wanted = file->want_xattrs || has_some ? &xattrs : nullptr;
  co_return !receiver_.SetMetadata(staged->handle(), file->wanted, wanted, made).has_value();
}

Task<bool> ApplyWorker::TakeOver(const Action* action, IncomingFile* file, StagedObject* staged) {
  const ActionOrigin& origin = *action->origin;
  // A backup of the old name needs an object of its own.
  if (origin.fate != Fate::kGoes || backup_ != nullptr || origin.object.size_bytes != file->wanted.size_bytes)
    co_return false;
  absl::StatusOr<DirectoryPtr> from = ParentOf(context_, origin.path);
  absl::StatusOr<DirectoryPtr> to = ParentOf(context_, action->path);
  if (!from.ok() || !to.ok()) co_return false;
  std::shared_ptr<DeltaBasis> basis =
      OpenBasis(context_.driver, (*from)->fd(), LeafName(origin.path), origin.object, &shared_->receive.direct_io());
  struct statx before{};
  if (basis == nullptr || !StatDescriptor(context_.driver, basis->fd.get(), &before).ok()) co_return false;
  if (!LooksFresh(*action, **to, basis->fd.get(), before)) co_return false;
  SameContents compare(receiver_.shard(), &shared_->receive, receiver_.source(),
                       FileRequest::Of(file->path, file->wanted), basis->data());
  const bool same = co_await compare.Run();
  if (!same) co_return false;
  struct statx after{};
  const bool untouched = StatDescriptor(context_.driver, basis->fd.get(), &after).ok() && LooksUntouched(before, after);
  if (!untouched) co_return false;
  StagedObject linked;
  if (StageLinkOf(context_, *action, **from, LeafName(origin.path), &linked).has_value() || !linked.valid())
    co_return false;
  struct statx now{};
  const bool same_object = StatAt(context_.driver, linked.parent()->fd(), linked.temporary_name().c_str(), &now).ok() &&
                           SameObject(now, before);
  if (!same_object) co_return false;
  linked.Adopt(std::move(basis->fd));
  const bool complete = co_await CompleteTaken(action, file, &linked);
  if (!complete) co_return false;
  *staged = std::move(linked);
  file->written = nullptr;
  shared_->receive.counters().bytes_matched.fetch_add(file->wanted.size_bytes, std::memory_order_relaxed);
  shared_->files_renamed.fetch_add(1, std::memory_order_relaxed);
  co_return true;
}

}  // namespace uringsync
