#include "agent/session_filter.h"

#include <fcntl.h>

#include <utility>

#include "agent/roots.h"
#include "engine/base/errno_status.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

constexpr size_t kMaxPathBytes = 4096;

// Merge files in the directories above the session's.
class FilesAbove final : public MergeFiles {
 public:
  // `top` null: paths begin at "/".
  FilesAbove(Driver* driver, DirectoryPtr top) : driver_(driver), top_(std::move(top)) {}

  absl::StatusOr<std::optional<std::string>> Read(std::string_view directory, const std::string& name) override {
    US_ASSIGN_OR_RETURN(const DirectoryPtr opened, Open(std::string(directory)));
    return ReadMergeFile(driver_, opened->fd(), name);
  }

 private:
  absl::StatusOr<DirectoryPtr> Open(const std::string& directory) const {
    if (top_ == nullptr) return OpenRoot(driver_, "/" + directory, DirectoryAccess::kPath);
    US_ASSIGN_OR_RETURN(const RelPath path, RelPath::Parse(directory));
    return OpenBeneath(driver_, *top_, path, DirectoryAccess::kPath);
  }

  Driver* const driver_;
  const DirectoryPtr top_;
};

// Where the kernel says that the directory lies, without the leading slash.
absl::StatusOr<std::string> AbsolutePath(Driver* driver, const Directory& directory) {
  std::string path(kMaxPathBytes, '\0');
  const std::string link = "/proc/self/fd/" + std::to_string(directory.fd());
  const long bytes = sys::Readlinkat(driver, AT_FDCWD, link.c_str(), path.data(), path.size());
  if (bytes < 0) return ErrnoStatus(static_cast<int>(-bytes), "readlink");
  path.resize(static_cast<size_t>(bytes));
  return path.substr(path.find_first_not_of('/') == std::string::npos ? path.size() : 1);
}

}  // namespace

absl::StatusOr<ScanFilter> MakeScanFilter(Driver* driver, const AgentContext& context, const OpenSession& open, const SessionRoot& root) {
  ScanFilter filter;
  if (open.filters.empty() || root.directory == nullptr) return filter;
  filter.side = open.role == Role::kSource ? FilterSide::kSender : FilterSide::kReceiver;
  PathFilterOptions options;
  options.delete_excluded = open.delete_excluded;
  options.nul_separated = open.nul_separated_filters;
  DirectoryPtr top;
  if (open.root.empty()) {
    US_ASSIGN_OR_RETURN(options.above, AbsolutePath(driver, *root.directory));
  } else {
    US_ASSIGN_OR_RETURN(const Root* const named, context.roots->FindForRole(open.root, Role::kSource));
    top = named->directory;
    options.above = open.path.text();
  }
  US_ASSIGN_OR_RETURN(filter.rules, PathFilter::Compile(open.filters, std::move(options)));
  FilesAbove files(driver, std::move(top));
  US_ASSIGN_OR_RETURN(filter.scope, filter.rules->Above(files));
  return filter;
}

ErrorKind FilterErrorKind(const absl::Status& failed) {
  return absl::IsInvalidArgument(failed) && StatusErrno(failed) == 0 ? ErrorKind::kUsage : ErrorKind::kFileIo;
}

}  // namespace uringsync
