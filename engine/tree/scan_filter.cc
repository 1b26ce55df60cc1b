#include "engine/tree/scan_filter.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

constexpr std::string_view kReading = "read filter file";

class FilesOfDirectory final : public MergeFiles {
 public:
  FilesOfDirectory(Driver* driver, int dirfd) : driver_(driver), dirfd_(dirfd) {}
  absl::StatusOr<std::optional<std::string>> Read(std::string_view, const std::string& name) override {
    return ReadMergeFile(driver_, dirfd_, name);
  }

 private:
  Driver* const driver_;
  const int dirfd_;
};

}  // namespace

absl::StatusOr<std::optional<std::string>> ReadMergeFile(Driver* driver, int dirfd, const std::string& name) {
  struct statx found{};
  const int result = sys::Statx(driver, dirfd, name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_SIZE, &found);
  if (result == -ENOENT) return std::nullopt;
  if (result < 0) return ErrnoStatus(-result, kReading);
  if (S_ISDIR(found.stx_mode)) return std::nullopt;
  // A link that leads nowhere is no file; one that leads somewhere is not followed.
  struct statx target{};
  const bool lost =
      S_ISLNK(found.stx_mode) && sys::Statx(driver, dirfd, name.c_str(), 0, STATX_TYPE, &target) == -ENOENT;
  if (lost) return std::nullopt;
  if (!S_ISREG(found.stx_mode)) return ErrnoStatus(S_ISLNK(found.stx_mode) ? ELOOP : EINVAL, kReading);
  if (found.stx_size > kMaxMergeFileBytes) return ErrnoStatus(EFBIG, kReading);
  absl::StatusOr<SourceFile> file = OpenSourceFile(driver, dirfd, name.c_str());
  if (!file.ok()) {
    const int error = StatusErrno(file.status());
    if (error == ENOENT) return std::nullopt;
    return ErrnoStatus(error != 0 ? error : EINVAL, kReading);
  }
  std::string text(kMaxMergeFileBytes + 1, '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const int64_t bytes = sys::Pread(driver, file->fd.get(), text.data() + filled, text.size() - filled, filled);
    if (bytes < 0) return ErrnoStatus(static_cast<int>(-bytes), kReading);
    if (bytes == 0) break;
    filled += static_cast<size_t>(bytes);
  }
  if (filled > kMaxMergeFileBytes) return ErrnoStatus(EFBIG, kReading);
  text.resize(filled);
  return text;
}

absl::StatusOr<DirectoryFilter> DirectoryFilter::Enter(Driver* driver, const ScanFilter& filter,
                                                       const FilterScopePtr& parent, std::string path,
                                                       const Directory& directory) {
  FilterScopePtr scope = parent;
  if (PathFilter::NeedsEntering(*parent)) {
    FilesOfDirectory files(driver, directory.fd());
    US_ASSIGN_OR_RETURN(scope, filter.rules->Enter(parent, path, files));
  }
  return Inherit(filter, std::move(scope), std::move(path));
}

DirectoryFilter DirectoryFilter::Inherit(const ScanFilter& filter, FilterScopePtr parent, std::string path) {
  if (!path.empty()) path += '/';
  return DirectoryFilter(filter, std::move(parent), std::move(path));
}

const std::string& DirectoryFilter::PathOf(std::string_view name) {
  path_ = prefix_;
  path_ += name;
  return path_;
}

bool DirectoryFilter::LeavesOut(std::string_view name, bool is_directory) {
  const PathFilter& rules = *filter_->rules;
  const std::string& path = PathOf(name);
  if (filter_->side == FilterSide::kSender) {
    return rules.Judge(*scope_, FilterSide::kSender, path, is_directory) == FilterVerdict::kExclude;
  }
  // Perishable rules keep nothing in a directory that is deleted, so what only they exclude has to be told.
  const bool left_out = ProtectionOf(name, is_directory) == Protection::kAlways && rules.SurelyHidden(path);
  holds_excluded_ = holds_excluded_ || left_out;
  return left_out;
}

Protection DirectoryFilter::ProtectionOf(std::string_view name, bool is_directory) {
  if (filter_->side == FilterSide::kSender) return Protection::kNone;
  const PathFilter& rules = *filter_->rules;
  const std::string& path = PathOf(name);
  const bool stays = rules.Judge(*scope_, FilterSide::kReceiver, path, is_directory) == FilterVerdict::kExclude;
  const bool always =
      rules.Judge(*scope_, FilterSide::kReceiver, path, is_directory, /*deleting=*/true) == FilterVerdict::kExclude;
  // Also where only a directory that is deleted would keep it (a perishable rule includes what a later one excludes):
  // nothing is lost.
  if (always) return Protection::kAlways;
  return stays ? Protection::kUnlessParentGoes : Protection::kNone;
}

}  // namespace uringsync
