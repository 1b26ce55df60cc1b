// How ApplyWorker comes to a filled temporary: where it is made, what it waits for, and when it is tried again.
#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string_view>
#include <utility>

#include "agent/apply_worker.h"
#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"

namespace uringsync {
namespace {

// A refusal that tells something of the file system as a whole. Attributes that do not fit (ext4 keeps them in one
// block) do not.
bool IsRefusalForRoom(const TransferFailure& failure) {
  if (failure.kind != FailureKind::kNoSpace || failure.at_source) return false;
  constexpr std::string_view kOperations[] = {"write",  "create", "mkdir",     "link",
                                              "rename", "fsync",  "ftruncate", "fallocate"};
  return std::ranges::find(kOperations, failure.operation) != std::end(kOperations);
}

}  // namespace

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
  if (StatusErrno(created.status()) == EACCES && MakeWritable(context_, **parent, action.path.Parent()))
    created = create();
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

Task<int> ApplyWorker::BeginFilling(int fd, uint64_t bytes, int tries, RoomWatch::Filling* filling) {
  int refused = co_await shared_->room.Begin(context_.driver, fd, bytes, tries, filling);
  if (refused != 0 && DropLeft()) refused = co_await shared_->room.Begin(context_.driver, fd, bytes, tries, filling);
  if (refused != 0) shared_->room.Note(context_.driver, fd, refused);
  co_return refused;
}

Task<ApplyWorker::Failure> ApplyWorker::AgainWithRoom(const Action* action, Failure failure,
                                                      std::function<Task<Failure>()> perform) {
  for (int tries = 1; failure.has_value() && IsRefusalForRoom(*failure); ++tries) {
    DirectoryPtr parent;
    const int fd = RoomDescriptor(*action, &parent);
    RoomWatch::Filling filling;
    if (!co_await shared_->room.Judge(context_.driver, fd, failure->error, tries, filling)) break;
    if (co_await BeginFilling(fd, 0, tries + 1, &filling) != 0) break;
    failure = co_await perform();
    filling.End(!failure.has_value());
  }
  co_return failure;
}

Task<ApplyWorker::Failure> ApplyWorker::Stage(const Action* action, IncomingFile* file, bool named,
                                              StagedObject* staged) {
  Driver* driver = context_.driver;
  file->present_bytes = 0;
  file->verify_present = false;
  std::optional<LeftTemporary> left = TakeLeft(*action, *file);
  for (int tries = 1;; ++tries) {
    DirectoryPtr parent;
    const int fd = RoomDescriptor(*action, &parent);
    const uint64_t needed = RoomFor(*file, left);
    // Another file may have filled the file system while this one waited.
    RoomWatch::Filling filling;
    const int refused = co_await BeginFilling(fd, needed, tries, &filling);
    if (refused != 0) {
      DoneWith(&left);
      co_return WriteFailure(refused, "write");
    }
    publisher_.Begin();
    bool taken = tries == 1 && !left && action->origin.has_value();
    if (taken) taken = co_await TakeOver(action, file, staged);
    if (taken) co_return std::nullopt;
    Failure failure;
    if (!left || !UseLeft(&*left, file, staged)) failure = co_await CreateStaged(action, named, staged);
    const bool created = !failure.has_value();
    if (created) PassKillPoint(KillPoint::kStageCreated);
    if (created) failure = co_await FillStaged(action, file, staged);
    if (!failure.has_value()) failure = co_await BringHome(action, file, staged);
    if (!failure.has_value()) {
      PassKillPoint(KillPoint::kStageMetadata);
      filling.End(/*whole=*/true);
      DoneWith(&left);
      co_return std::nullopt;
    }
    const bool kept = co_await KeepWhatCame(action, file, staged, failure->kind);
    publisher_.Abandon();
    *staged = StagedObject();
    filling.End(/*whole=*/false);
    if (kept) NoteRoom(*action, failure);
    if (kept || IsBrokenOff(failure->kind)) co_return failure;
    DoneWith(&left);
    file->present_bytes = 0;
    if (created && !failure->at_source && MayTryAgain(failure->error, tries)) {
      co_await FreeDescriptors();
      continue;
    }
    if (!IsRefusalForRoom(*failure)) co_return failure;
    const bool again = DropLeft() || co_await shared_->room.Judge(driver, fd, failure->error, tries, filling);
    if (!again) co_return failure;
    shared_->receive.counters().retries.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace uringsync
