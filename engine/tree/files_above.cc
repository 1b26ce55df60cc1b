#include "engine/tree/files_above.h"

#include <fcntl.h>

#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/rel_path.h"
#include "engine/fs/syscalls.h"
#include "engine/tree/scan_filter.h"

namespace uringsync {
namespace {

constexpr size_t kMaxPathBytes = 4096;

}  // namespace

absl::StatusOr<std::optional<std::string>> FilesAbove::Read(std::string_view directory, const std::string& name) {
  US_ASSIGN_OR_RETURN(const DirectoryPtr opened, Open(std::string(directory)));
  return ReadMergeFile(driver_, opened->fd(), name);
}

absl::StatusOr<DirectoryPtr> FilesAbove::Open(const std::string& directory) const {
  if (top_ == nullptr) return OpenRoot(driver_, "/" + directory, DirectoryAccess::kPath);
  US_ASSIGN_OR_RETURN(const RelPath path, RelPath::Parse(directory));
  return OpenBeneath(driver_, *top_, path, DirectoryAccess::kPath);
}

absl::StatusOr<std::string> AbsolutePath(Driver* driver, const Directory& directory) {
  std::string path(kMaxPathBytes, '\0');
  const std::string link = "/proc/self/fd/" + std::to_string(directory.fd());
  const long bytes = sys::Readlinkat(driver, AT_FDCWD, link.c_str(), path.data(), path.size());
  if (bytes < 0) return ErrnoStatus(static_cast<int>(-bytes), "readlink");
  path.resize(static_cast<size_t>(bytes));
  return path.substr(path.find_first_not_of('/') == std::string::npos ? path.size() : 1);
}

}  // namespace uringsync
