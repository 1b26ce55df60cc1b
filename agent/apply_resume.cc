// What ApplyWorker does so that large files need not be begun again by the next session: temporaries are written down,
// left where they are when the session breaks off, and gone on with.
#include <sys/sysmacros.h>

#include <algorithm>
#include <utility>

#include "agent/apply_worker.h"
#include "engine/fs/file.h"

namespace uringsync {

bool ApplyWorker::IsWrittenDown(const Entry& wanted) const {
  return shared_->options.resume != nullptr && wanted.size_bytes > kSmallFileBytes;
}

std::optional<LeftTemporary> ApplyWorker::TakeLeft(const Action& action, const IncomingFile& file) {
  if (!IsWrittenDown(file.wanted)) return std::nullopt;
  return shared_->options.resume->Take(context_.driver, action.path, file.wanted);
}

bool ApplyWorker::UseLeft(LeftTemporary* left, IncomingFile* file, StagedObject* staged) {
  if (!left->whole) {
    *staged = StagedObject::Of(context_.driver, left->directory, left->name);
    staged->Adopt(std::move(left->fd));
    file->present_bytes = left->data_bytes;
    file->verify_present = true;
    return true;
  }
  // It may have attributes that a new file would not have.
  auto basis = std::make_shared<DeltaBasis>();
  basis->fd = std::move(left->fd);
  basis->direct = shared_->receive.direct_io().Open(context_.driver, basis->fd.get(), O_RDONLY);
  basis->size_bytes = file->wanted.size_bytes;
  basis->part = basis->moved = true;
  file->basis = std::move(basis);
  return false;
}

void ApplyWorker::DoneWith(std::optional<LeftTemporary>* left) {
  // What became the staged file is removed with that, or has its name.
  const bool is_staged = *left && !(*left)->whole && !(*left)->fd.valid();
  if (*left && !is_staged) shared_->options.resume->Remove(context_.driver, **left);
  left->reset();
}

void ApplyWorker::WriteDown(StagedObject* staged, IncomingFile* file) {
  file->on_state = nullptr;
  const bool named = !staged->temporary_name().empty() && staged->parent() == staged->target();
  if (!IsWrittenDown(file->wanted) || !named) return;
  file->on_state = [this, staged, file](StagedState state) {
    ResumeJournal* const journal = shared_->options.resume;
    if (state == StagedState::kWhole) return journal->NoteWhole(context_.driver, staged->temporary_name());
    struct statx found{};
    if (!StatDescriptor(context_.driver, staged->fd(), &found).ok()) return;
    journal->Note(context_.driver, {.path = file->path,
                                    .temporary = staged->temporary_name(),
                                    .object = {::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino},
                                    .size_bytes = file->wanted.size_bytes,
                                    .mtime = file->wanted.mtime});
  };
}

Task<bool> ApplyWorker::KeepWhatCame(const Action* action, const IncomingFile* file, StagedObject* staged,
                                     FailureKind why) {
  const std::string temporary = staged->temporary_name();
  const bool kept = co_await KeepPart(action, file, staged, why);
  if (!kept) co_return LeaveForLater(*file, staged, why);
  if (shared_->options.resume != nullptr) shared_->options.resume->Forget(temporary);
  co_return true;
}

bool ApplyWorker::LeaveForLater(const IncomingFile& file, StagedObject* staged, FailureKind why) {
  ResumeJournal* const journal = shared_->options.resume;
  if (journal == nullptr || !staged->valid() || !journal->Holds(staged->temporary_name())) return false;
  struct statx found{};
  const bool empty = !StatDescriptor(context_.driver, staged->fd(), &found).ok() || found.stx_size == 0;
  // Parts have places of their own where they are asked for. A directory that gets a mode back which refuses us would
  // keep it for ever.
  if (empty || !IsBrokenOff(why) || file.keeps_part || shared_->loosened.Holds(file.path.Parent())) {
    journal->Forget(staged->temporary_name());
    return false;
  }
  static_cast<void>(staged->Release());
  return true;
}

void ApplyWorker::MakeWay(const Action& action) {
  ResumeJournal* const journal = shared_->options.resume;
  if (journal == nullptr || action.kind == ActionKind::kSetMetadata) return;
  const bool goes = action.kind == ActionKind::kDelete
                        ? DoomedObject(action).type == FileType::kDirectory
                        : action.existing.has_value() && action.existing->type == FileType::kDirectory;
  if (goes) journal->DropIn(context_.driver, action.path);
}

bool ApplyWorker::DropLeft() {
  ResumeJournal* const journal = shared_->options.resume;
  return journal != nullptr && journal->Drop(context_.driver) > 0;
}

uint64_t ApplyWorker::RoomFor(const IncomingFile& file, const std::optional<LeftTemporary>& left) const {
  // Holes take no room.
  const uint64_t all =
      shared_->options.sparse ? std::min(file.wanted.size_bytes, file.wanted.allocated_bytes) : file.wanted.size_bytes;
  const uint64_t there = left && !left->whole ? left->allocated_bytes : 0;
  return all - std::min(all, there);
}

}  // namespace uringsync
