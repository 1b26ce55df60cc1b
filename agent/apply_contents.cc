// Where ApplyWorker takes the contents of a file from, and what it writes them over.
#include <algorithm>
#include <utility>

#include "agent/apply_worker.h"
#include "engine/base/errno_status.h"
#include "engine/fs/file.h"

namespace uringsync {

std::shared_ptr<const DeltaBasis> ApplyWorker::OpenOldFile(const Action& action, const Directory& parent) {
  const bool may = action.existing.has_value() && action.existing->type == FileType::kRegular &&
                   MayUseDelta(shared_->options.delta, action.wanted.size_bytes, action.existing->size_bytes);
  if (!may) return nullptr;
  return OpenBasis(context_.driver, parent.fd(), LeafName(action.path), *action.existing,
                   &shared_->receive.direct_io());
}

std::shared_ptr<const DeltaBasis> ApplyWorker::OpenSimilar(const Action& action, const Directory& parent) {
  const uint32_t fuzzy = shared_->options.staging.fuzzy;
  const DeltaPolicy policy = shared_->options.delta;
  if (fuzzy == 0 || policy == DeltaPolicy::kOff) return nullptr;
  Entry wanted = action.wanted;
  wanted.name = std::string(action.path.name());
  DirectIo* const direct_io = &shared_->receive.direct_io();
  const RelPath directory = action.path.Parent();
  std::shared_ptr<const DeltaBasis> basis = similar_.front().Open(parent, directory, wanted, policy, direct_io);
  for (size_t i = 0; basis == nullptr && fuzzy > 1 && i < bases_.size(); ++i) {
    const absl::StatusOr<DirectoryPtr> there = bases_[i]->DirectoryAt(directory);
    if (there.ok()) basis = similar_[i + 1].Open(**there, directory, wanted, policy, direct_io);
  }
  return basis;
}

Task<ApplyWorker::Failure> ApplyWorker::FillStaged(const Action* action, IncomingFile* file, StagedObject* staged) {
  WriteDown(staged, file);
  if (file->present_bytes > 0) co_return co_await receiver_.Fill(staged, file);
  if (action->basis) {
    const bool filled = co_await FillFromBasis(action, file, staged);
    if (filled) file->basis = nullptr;
    if (filled) co_return std::nullopt;
  }
  if (file->basis == nullptr && action->origin && !shared_->options.source_is_near) file->basis = OpenOrigin(*action);
  if (file->basis == nullptr) file->basis = OpenPart(*action, *staged->target());
  file->part_bytes = file->basis != nullptr && !file->basis->moved ? file->basis->size_bytes : 0;
  if (file->basis == nullptr) file->basis = OpenOldFile(*action, *staged->target());
  if (file->basis == nullptr && !action->existing.has_value()) file->basis = OpenSimilar(*action, *staged->target());
  Failure failure = co_await receiver_.Fill(staged, file);
  file->basis = nullptr;
  co_return failure;
}

Task<bool> ApplyWorker::FillFromBasis(const Action* action, const IncomingFile* file, StagedObject* staged) {
  bool filled = co_await bases_[action->basis->directory]->Fill(staged, action, file->written);
  XattrList xattrs;
  if (filled && file->want_xattrs) {
    Failure fetched = co_await receiver_.FetchXattrs(file->path, file->wanted, &xattrs);
    filled = !fetched.has_value();
  }
  if (filled) {
    const Receiver::Made made{.parent = staged->parent().get(), .replaced_mode = file->replaced_mode};
    filled =
        !receiver_.SetMetadata(staged->handle(), file->wanted, file->want_xattrs ? &xattrs : nullptr, made).has_value();
  }
  // What is wrong shows again, and is told, where it is not the basis.
  if (!filled) static_cast<void>(TruncateTo(context_.driver, staged->fd(), 0));
  co_return filled;
}

Task<ApplyWorker::Failure> ApplyWorker::LinkBasis(const Action& action, SemaphoreUnits* slot) {
  StagedObject staged;
  if (bases_[action.basis->directory]->StageLink(context_, action, &staged)) {
    if (!staged.valid()) co_return std::nullopt;
    co_return PublishNow(action, &staged);
  }
  // Too many links, another file system, changed, gone: the tree gets an object of its own.
  Action own = action;
  switch (action.wanted.type) {
    case FileType::kRegular: {
      own.kind = ActionKind::kPutFile;
      co_return co_await PutFile(own, slot, SemaphoreUnits());
    }
    case FileType::kSymlink: own.kind = ActionKind::kPutSymlink; break;
    default: own.kind = ActionKind::kPutSpecial; break;
  }
  co_return co_await PutOther(own);
}

ApplyWorker::Failure ApplyWorker::OpenInPlace(const Action& action, const Entry& existing, StagedObject* staged) {
  absl::StatusOr<DirectoryPtr> parent = ParentOf(context_, action.path);
  if (!parent.ok()) return DestinationFailure(parent.status(), "open");
  absl::StatusOr<StagedObject> opened =
      StagedObject::OpenInPlace(context_.driver, *parent, LeafName(action.path), existing, action.wanted.size_bytes);
  if (!opened.ok()) return DestinationFailure(opened.status(), "open");
  *staged = *std::move(opened);
  // What lies beyond the new end goes first: nothing that is written later can be cut off again.
  if (existing.type != FileType::kRegular || existing.size_bytes <= action.wanted.size_bytes) return std::nullopt;
  absl::Status cut = TruncateTo(context_.driver, staged->fd(), action.wanted.size_bytes);
  if (!cut.ok()) return DestinationFailure(cut, "ftruncate");
  return std::nullopt;
}

void ApplyWorker::RefreshInode(Action* action) const {
  if (!shared_->options.in_place) return;
  Entry* planned = action->kind == ActionKind::kDelete ? &action->wanted : nullptr;
  if (action->existing) planned = &*action->existing;
  if (planned != nullptr && planned->nlink > 1) shared_->in_place_inodes.Refresh(planned);
}

void ApplyWorker::LeaveInode(const Entry& existing, int fd, uint64_t action) {
  struct statx now{};
  if (StatDescriptor(context_.driver, fd, &now).ok()) shared_->in_place_inodes.Leave(existing.id, now, action);
}

Task<ApplyWorker::Failure> ApplyWorker::PutInPlace(const Action* action, IncomingFile* file) {
  StagedObject staged;
  Entry existing = *action->existing;
  SemaphoreUnits turn;
  if (SharesInode(*action)) {
    turn = co_await shared_->in_place_inodes.Turn(existing.id);
    shared_->in_place_inodes.Refresh(&existing);
    // As if it had been written, and written over.
    if (shared_->in_place_inodes.HasLater(existing.id, action->id)) co_return std::nullopt;
  }
  Failure failure = co_await FillInPlace(action, &existing, file, &staged);
  if (turn.units() > 0 && staged.valid()) LeaveInode(existing, staged.fd(), failure.has_value() ? 0 : action->id);
  // Others may have to end before the batch does.
  turn = SemaphoreUnits();
  if (failure.has_value()) co_return failure;
  const std::optional<Entry> displaced = action->existing.ToOptional();
  PublishResult ended = co_await publisher_.Commit(&staged, LeafName(action->path), &displaced,
                                                   file->wanted.size_bytes, /*alone=*/false);
  if (!ended.status.ok()) co_return DestinationFailure(ended.status, "fsync");
  NotePublished(*action, *file);
  co_return std::nullopt;
}

// Without a failure Publisher::Begin is in force.
Task<ApplyWorker::Failure> ApplyWorker::FillInPlace(const Action* action, const Entry* existing, IncomingFile* file,
                                                    StagedObject* into) {
  StagedObject& staged = *into;
  Failure failure = OpenInPlace(*action, *existing, &staged);
  for (int tries = 1; failure.has_value() && MayTryAgain(failure->error, tries); ++tries) {
    co_await FreeDescriptors();
    failure = OpenInPlace(*action, *existing, &staged);
  }
  if (failure.has_value()) co_return failure;
  file->in_place = true;
  const AppendMode append = shared_->options.staging.append;
  if (append != AppendMode::kNone && existing->size_bytes < file->wanted.size_bytes) {
    file->present_bytes = existing->size_bytes;
    file->verify_present = append == AppendMode::kVerify;
    file->in_order = true;
  }
  publisher_.Begin();
  failure = co_await in_place_receiver_.Fill(&staged, file);
  if (!failure.has_value()) {
    failure = co_await ReadAgain(file, &staged);
    // It has its time already: the next run must not take it for unchanged.
    Entry damaged = file->wanted;
    damaged.mtime = FileTime();
    if (failure.has_value())
      static_cast<void>(in_place_receiver_.SetMetadata(staged.handle(), damaged, nullptr, {.written = true}));
  }
  if (failure.has_value()) {
    publisher_.Abandon();
    // What came of the rest without a gap stays.
    if (file->in_order)
      static_cast<void>(TruncateTo(context_.driver, staged.fd(), std::max(file->present_bytes, file->arrived_bytes)));
    NoteRoom(*action, failure);
  }
  co_return failure;
}

}  // namespace uringsync
