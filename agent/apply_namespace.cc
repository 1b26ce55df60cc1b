#include "agent/apply_namespace.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/file.h"
#include "engine/fs/link_follower.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// Runs `step(parent)`, once more after making the parent of `path` writable when that is what was missing.
template <typename Step>
absl::Status WithWritableParent(const NamespaceContext& context, const Directory& parent, const RelPath& path,
                                Step step) {
  absl::Status status = step();
  if (StatusErrno(status) == EACCES && MakeWritable(context, parent, path.Parent())) status = step();
  return status;
}

absl::Status Pin(Driver* driver, int dirfd, const char* name, UniqueFd* pinned, struct statx* found) {
  const int fd = sys::Openat(driver, dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(-fd, "open");
  pinned->Reset(fd);
  return StatDescriptor(driver, fd, found);
}

// Whether `found` is the object that the source's link group stands for, as far as it was synced: type, size, time.
bool IsWantedTarget(const struct statx& found, const Entry& wanted, const ApplyOptions& options) {
  if (FileTypeFromMode(found.stx_mode) != wanted.type) return false;
  if (wanted.type == FileType::kRegular && found.stx_size != wanted.size_bytes) return false;
  if (!options.selection.KeepsTime(wanted.type)) return true;
  const FileTime found_time{found.stx_mtime.tv_sec, static_cast<uint32_t>(found.stx_mtime.tv_nsec)};
  if (options.selection.WithinWindow(found_time, wanted.mtime)) return true;
  uint32_t step = std::max<uint32_t>(options.time_granularity_ns, 1);
  auto rounded = [step, &options](FileTime time) {
    time = options.time_range.Clamp(time);
    __int128 whole = static_cast<__int128>(time.seconds) * 1'000'000'000 + time.nanoseconds;
    return whole / step;
  };
  __int128 difference = rounded(found_time) - rounded(wanted.mtime);
  return difference >= -1 && difference <= 1 && (step > 1 || difference == 0);
}

}  // namespace

bool SameObject(const struct statx& a, const struct statx& b) {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}

Problem MakeProblem(const Action& action, TransferFailure failure) {
  Problem problem;
  switch (failure.kind) {
    case FailureKind::kFailed:
    case FailureKind::kConnection: problem.kind = ProblemKind::kFailed; break;
    case FailureKind::kVanished: problem.kind = ProblemKind::kVanished; break;
    case FailureKind::kChanged: problem.kind = ProblemKind::kChanged; break;
    case FailureKind::kConflict: problem.kind = ProblemKind::kConflict; break;
    case FailureKind::kIntegrity: problem.kind = ProblemKind::kIntegrity; break;
    case FailureKind::kNoSpace: problem.kind = ProblemKind::kNoSpace; break;
  }
  problem.side = failure.at_source ? Side::kSource : Side::kDestination;
  problem.path = action.path;
  problem.operation = std::move(failure.operation);
  problem.error = failure.error;
  problem.detail = std::move(failure.detail);
  problem.action = action.id;
  return problem;
}

TransferFailure DestinationFailure(const absl::Status& status, std::string operation) {
  TransferFailure failure = WriteFailure(StatusErrno(status), std::move(operation));
  if (IsConflict(status)) {
    failure.kind = FailureKind::kConflict;
    failure.detail = std::string(ToStd(status.message()));
  } else if (failure.error == 0) {
    failure.detail = std::string(ToStd(status.message()));
  }
  return failure;
}

absl::StatusOr<DirectoryPtr> ParentOf(const NamespaceContext& context, const RelPath& path) {
  return context.directories->Get(path.Parent());
}

namespace {

// What only holds what is transferred has its mode for a reason that is not ours to overrule. Directories on the way to
// an operand (--relative) are transferred with it; where they are not, links to directories stand for them.
bool IsInTransfer(const ApplyOptions& options, const RelPath& path) {
  if (options.view == nullptr || options.view->Covers(path)) return true;
  return !path.is_root() && !options.keep_directory_links && options.view->FirstWithin(path) != nullptr;
}

}  // namespace

bool MakeWritable(const NamespaceContext& context, const Directory& directory, const RelPath& path) {
  if (!IsInTransfer(context.shared->options, path)) return false;
  struct statx stat{};
  if (!StatDescriptor(context.driver, directory.fd(), &stat).ok()) return false;
  const uint32_t mode = stat.stx_mode & 07777;
  // Another shard may have made it so since the refusal: worth the second try as well.
  if ((mode & kOwnerWriteSearch) == kOwnerWriteSearch) return true;
  if (ChangeModeOf(context.driver, directory.fd(), mode | kOwnerWriteSearch) < 0) return false;
  context.shared->loosened.Note(path, stat.stx_ino, mode, mode | kOwnerWriteSearch);
  return true;
}

absl::Status PinObject(const NamespaceContext& context, int dirfd, const Action& action, UniqueFd* pinned) {
  struct statx found{};
  const char* const name = LeafName(action.path);
  US_RETURN_IF_ERROR(Pin(context.driver, dirfd, name, pinned, &found));
  const std::optional<FollowBase> links = context.shared->links();
  if (links && action.wanted.type == FileType::kDirectory && S_ISLNK(found.stx_mode)) {
    US_ASSIGN_OR_RETURN(*pinned, PinFollowed(context.driver, {dirfd, name, links->Below(action.path.text())}, &found));
  }
  if (action.wanted.type != FileType::kDirectory && action.existing.has_value()) {
    switch (CompareIdentity(IdentityOf(*action.existing), found)) {
      case IdentityMatch::kSame: return absl::OkStatus();
      case IdentityMatch::kModified: return absl::AbortedError("was modified since it was planned");
      case IdentityMatch::kOther: break;
    }
    return absl::AbortedError("was replaced since it was planned");
  }
  if (FileTypeFromMode(found.stx_mode) == action.wanted.type) return absl::OkStatus();
  return absl::AbortedError("another type of object is there");
}

absl::Status PinStaged(Driver* driver, const StagedObject& staged, const Entry& wanted, UniqueFd* pinned) {
  struct statx found{};
  US_RETURN_IF_ERROR(Pin(driver, staged.parent()->fd(), staged.temporary_name().c_str(), pinned, &found));
  if (FileTypeFromMode(found.stx_mode) == wanted.type && found.stx_nlink == 1) return absl::OkStatus();
  return absl::AbortedError("the temporary was replaced meanwhile");
}

std::optional<TransferFailure> KeepBackup(const NamespaceContext& context, const Action& action) {
  if (context.backup == nullptr || !action.existing.has_value() || action.existing->type == FileType::kDirectory)
    return std::nullopt;
  absl::Status kept = context.backup->Keep(action.path, *action.existing);
  PassKillPoint(KillPoint::kBackupLinked);
  if (kept.ok()) return std::nullopt;
  return DestinationFailure(kept, "backup");
}

std::optional<TransferFailure> ApplyMakeDirectory(const NamespaceContext& context, const Action& action) {
  absl::StatusOr<DirectoryPtr> parent = ParentOf(context, action.path);
  if (!parent.ok()) return DestinationFailure(parent.status(), "open");
  const char* name = LeafName(action.path);
  const int dirfd = (*parent)->fd();
  if (action.existing.has_value() && action.existing->type != FileType::kDirectory) {
    absl::Status removed = WithWritableParent(context, **parent, action.path, [&] {
      if (context.backup != nullptr) return context.backup->Move(action.path, *action.existing);
      return RemoveObject(context.driver, dirfd, name, *action.existing);
    });
    if (!removed.ok()) return DestinationFailure(removed, "unlink");
  }
  absl::Status made = WithWritableParent(context, **parent, action.path, [&] {
    return MakeDirectory(context.driver, dirfd, name, action.wanted.implied);
  });
  if (absl::IsAlreadyExists(made)) {
    struct statx found{};
    if (StatAt(context.driver, dirfd, name, &found).ok() && FileTypeFromMode(found.stx_mode) == FileType::kDirectory)
      return std::nullopt;
    return TransferFailure{FailureKind::kConflict, false, "mkdir", EEXIST, {}};
  }
  if (!made.ok()) return DestinationFailure(made, "mkdir");
  PassKillPoint(KillPoint::kMadeDirectory);
  return std::nullopt;
}

const Entry& DoomedObject(const Action& action) {
  return action.existing.has_value() ? *action.existing : action.wanted;
}

std::optional<TransferFailure> ApplyDelete(const NamespaceContext& context, const Action& action,
                                           const absl::StatusOr<DirectoryPtr>& parent) {
  if (!context.shared->options.may_delete)
    return TransferFailure{FailureKind::kFailed, false, "unlink", EPERM, "the agent's --allow grants no delete here"};
  if (!parent.ok()) {
    if (StatusErrno(parent.status()) == ENOENT) return std::nullopt;
    return DestinationFailure(parent.status(), "open");
  }
  const Entry& doomed = DoomedObject(action);
  bool is_directory = doomed.type == FileType::kDirectory;
  // A cached descriptor would keep naming the directory that is gone.
  if (is_directory) context.directories->Invalidate(action.path);
  absl::Status removed = WithWritableParent(context, **parent, action.path, [&] {
    if (context.backup != nullptr && !is_directory) return context.backup->Move(action.path, doomed);
    return RemoveObject(context.driver, (*parent)->fd(), LeafName(action.path), doomed);
  });
  if (removed.ok() || absl::IsNotFound(removed)) return std::nullopt;
  return DestinationFailure(removed, is_directory ? "rmdir" : "unlink");
}

std::optional<TransferFailure> StageLink(const NamespaceContext& context, const Action& action, StagedObject* staged) {
  absl::StatusOr<DirectoryPtr> target_parent = ParentOf(context, action.link_target);
  if (!target_parent.ok()) return DestinationFailure(target_parent.status(), "open");
  const char* target_name = LeafName(action.link_target);
  struct statx target{};
  absl::Status found = StatAt(context.driver, (*target_parent)->fd(), target_name, &target);
  if (StatusErrno(found) == ENOENT) {
    return TransferFailure{FailureKind::kFailed, false, "link", 0,
                           "the first name of the link group could not be made"};
  }
  if (!found.ok()) return DestinationFailure(found, "link");
  if (!IsWantedTarget(target, action.wanted, context.shared->options)) {
    TransferFailure failure{FailureKind::kConflict, false, "link", 0,
                            "the first name of the link group is not in place"};
    return failure;
  }
  return StageLinkOf(context, action, **target_parent, target_name, staged);
}

std::optional<TransferFailure> StageLinkOf(const NamespaceContext& context, const Action& action,
                                           const Directory& directory, const char* name, StagedObject* staged) {
  absl::StatusOr<DirectoryPtr> parent = ParentOf(context, action.path);
  if (!parent.ok()) return DestinationFailure(parent.status(), "open");
  struct statx target{};
  absl::Status found = StatAt(context.driver, directory.fd(), name, &target);
  if (!found.ok()) return DestinationFailure(found, "link");
  struct statx present{};
  // rename(2) of one name of an inode over another does nothing: the link is there already.
  if (StatAt(context.driver, (*parent)->fd(), LeafName(action.path), &present).ok() && SameObject(present, target))
    return std::nullopt;
  absl::StatusOr<StagedObject> linked;
  absl::Status made = WithWritableParent(context, **parent, action.path, [&] {
    linked = StagedObject::CreateLink(context.driver, *parent, context.shared->receive.namer(), directory, name);
    return linked.status();
  });
  if (!made.ok()) {
    const int error = StatusErrno(made);
    const bool refused = error == EPERM || error == EOPNOTSUPP || error == ENOSYS;
    if (refused && !HasHardLinks(context.driver, *parent, context.shared->receive.namer()))
      (*parent)->file_system(context.driver).Tell(Lack::kHardLinks);
    return DestinationFailure(made, "link");
  }
  struct statx linked_stat{};
  found = StatAt(context.driver, (*parent)->fd(), linked->temporary_name().c_str(), &linked_stat);
  if (!found.ok() || !SameObject(linked_stat, target))
    return TransferFailure{FailureKind::kConflict, false, "link", 0,
                           "what it is to be a link of was replaced meanwhile"};
  *staged = *std::move(linked);
  return std::nullopt;
}

}  // namespace uringsync
