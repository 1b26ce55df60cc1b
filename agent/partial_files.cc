#include "agent/partial_files.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/file.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// A directory that another shard found empty is made again; so often at most.
constexpr int kMaxTries = 8;

RelPath Below(RelPath directory, const RelPath& path) {
  std::string_view rest = path.text();
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('/'), rest.size());
    directory = directory.Child(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return directory;
}

}  // namespace

PartialFiles::PartialFiles(Driver* driver, DirectoryCache* directories, const PartialTarget& target)
    : driver_(driver),
      directories_(directories),
      target_(target),
      places_(driver, target.base != nullptr ? target.base : directories->root(), nullptr, kDirectories) {}

std::optional<RelPath> PartialFiles::DirectoryOf(const RelPath& path) const {
  if (target_.base != nullptr) return target_.below;
  RelPath directory = path.Parent();
  for (uint32_t level = 0; level < target_.climb; ++level) {
    if (directory.is_root()) return std::nullopt;
    directory = directory.Parent();
  }
  return Below(std::move(directory), target_.directory);
}

absl::StatusOr<DirectoryPtr> PartialFiles::Find(const RelPath& path) {
  const std::optional<RelPath> directory = DirectoryOf(path);
  if (!directory) return ErrnoStatus(ENOENT, "open");
  return cache()->Get(*directory);
}

absl::StatusOr<DirectoryPtr> PartialFiles::Make(const RelPath& path) {
  const std::optional<RelPath> directory = DirectoryOf(path);
  if (!directory) return ErrnoStatus(ENOENT, "mkdir");
  // Of a directory with several names all but the first ones may be missing.
  RelPath there = *directory;
  std::vector<RelPath> missing;
  absl::StatusOr<DirectoryPtr> found = cache()->Get(there);
  while (StatusErrno(found.status()) == ENOENT && !there.is_root()) {
    missing.push_back(there);
    there = there.Parent();
    found = cache()->Get(there);
  }
  for (; found.ok() && !missing.empty(); missing.pop_back()) {
    const int made = sys::Mkdirat(driver_, (*found)->fd(), LeafName(missing.back()), 0700);
    if (made < 0 && made != -EEXIST) return ErrnoStatus(-made, "mkdir");
    found = cache()->Get(missing.back());
  }
  return found;
}

std::shared_ptr<const DeltaBasis> PartialFiles::Open(const RelPath& path, DirectIo* direct_io) {
  const absl::StatusOr<DirectoryPtr> directory = Find(path);
  struct statx found{};
  Entry entry;
  if (!directory.ok() || !StatAt(driver_, (*directory)->fd(), LeafName(path), &found).ok()) return nullptr;
  if (!EntryFromStatx(found, /*with_atime=*/false, &entry)) return nullptr;
  std::shared_ptr<DeltaBasis> basis = OpenBasis(driver_, (*directory)->fd(), LeafName(path), entry, direct_io);
  if (basis != nullptr) basis->part = true;
  return basis;
}

absl::Status PartialFiles::Keep(StagedObject* staged, const RelPath& path) {
  absl::Status kept;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    US_ASSIGN_OR_RETURN(const DirectoryPtr directory, Make(path));
    kept = staged->MoveTo(*directory, LeafName(path));
    if (StatusErrno(kept) != ENOENT) return kept;
    cache()->Invalidate(*DirectoryOf(path));
  }
  return kept;
}

absl::StatusOr<DirectoryPtr> PartialFiles::MakeRoom(const RelPath& path) {
  US_ASSIGN_OR_RETURN(DirectoryPtr directory, Make(path));
  const int removed = sys::Unlinkat(driver_, directory->fd(), LeafName(path), 0);
  if (removed < 0 && removed != -ENOENT) return ErrnoStatus(-removed, "unlink");
  return directory;
}

absl::StatusOr<StagedObject> PartialFiles::Take(const RelPath& path, DirectoryPtr target) {
  US_ASSIGN_OR_RETURN(DirectoryPtr directory, Find(path));
  StagedObject staged = StagedObject::Of(driver_, std::move(directory), std::string(path.name()));
  staged.SetTarget(std::move(target));
  return staged;
}

void PartialFiles::Remove(const RelPath& path) {
  const absl::StatusOr<DirectoryPtr> directory = Find(path);
  if (!directory.ok()) return;
  static_cast<void>(sys::Unlinkat(driver_, (*directory)->fd(), LeafName(path), 0));
  RemoveDirectory(path);
}

void PartialFiles::RemoveDirectory(const RelPath& path) {
  const std::optional<RelPath> directory = DirectoryOf(path);
  if (target_.base != nullptr || !directory) return;
  const absl::StatusOr<DirectoryPtr> parent = directories_->Get(directory->Parent());
  if (!parent.ok()) return;
  if (sys::Unlinkat(driver_, (*parent)->fd(), LeafName(*directory), AT_REMOVEDIR) == 0)
    directories_->Invalidate(*directory);
}

}  // namespace uringsync
