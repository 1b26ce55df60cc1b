#include "agent/path_query.h"

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <utility>

#include "agent/path_expansion.h"
#include "agent/roots.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/coro/scope.h"
#include "engine/fs/directory.h"
#include "engine/fs/file.h"
#include "engine/fs/host_path.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

constexpr size_t kPathsPerTurn = 64;

PathKind KindOf(const struct statx& stat) {
  const std::optional<FileType> type = FileTypeFromMode(stat.stx_mode);
  if (!type) return PathKind::kOther;
  switch (*type) {
    case FileType::kDirectory: return PathKind::kDirectory;
    case FileType::kRegular: return PathKind::kFile;
    case FileType::kSymlink: return PathKind::kSymlink;
    default: return PathKind::kOther;
  }
}

// Looks at `name` in `dirfd`. With `follow` also at what it is in the end.
void Look(Driver* driver, int dirfd, const char* name, bool follow, PathInfo* info) {
  struct statx stat{};
  const int looked = sys::Statx(driver, dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kEntryStatxMask, &stat);
  if (looked < 0) {
    if (looked != -ENOENT) info->error = -looked;
    return;
  }
  info->kind = KindOf(stat);
  const bool link = info->kind == PathKind::kSymlink;
  if (link && (!follow || sys::Statx(driver, dirfd, name, AT_NO_AUTOMOUNT, kEntryStatxMask, &stat) < 0)) return;
  info->target = KindOf(stat);
  Entry entry;
  if (EntryFromStatx(stat, false, &entry)) info->id = entry.id;
}

PathInfo LookAtHostPath(Driver* driver, const std::string& path) {
  PathInfo info;
  Look(driver, AT_FDCWD, path.empty() ? "." : path.c_str(), /*follow=*/true, &info);
  struct statx above{};
  const std::string parent = ParentOfHostPath(path);
  info.has_parent = sys::Statx(driver, AT_FDCWD, parent.c_str(), AT_NO_AUTOMOUNT, kEntryStatxMask, &above) == 0 &&
                    KindOf(above) == PathKind::kDirectory;
  return info;
}

// As the working directory is called here; empty where that cannot be told.
std::string WorkingDirectory(Driver* driver) {
  std::string path(kMaxHostPathBytes, '\0');
  const long n = sys::Readlinkat(driver, AT_FDCWD, "/proc/self/cwd", path.data(), path.size());
  path.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return path;
}

// A piece of the file that holds a list of names.
Task<absl::Status> ReadList(Driver* driver, const PathQuery query, PathReply* reply) {
  const std::string what = "failed to open files-from file " + EscapeName(query.list_file);
  // A pipe's end would be waited for.
  const int opened =
      sys::Openat(driver, AT_FDCWD, query.list_file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (opened < 0) co_return ErrnoStatus(-opened, what);
  const UniqueFd fd(opened);
  struct statx stat{};
  US_CO_RETURN_IF_ERROR(StatDescriptor(driver, fd.get(), &stat));
  if (KindOf(stat) != PathKind::kFile) co_return absl::FailedPreconditionError(what + ": it is no regular file");
  reply->list.resize(kMaxListBytes);
  const absl::StatusOr<size_t> n =
      co_await ReadAtFull(driver, fd.get(), reply->list.data(), reply->list.size(), query.list_offset);
  US_CO_RETURN_IF_ERROR(n.status());
  reply->list.resize(*n);
  reply->list_ends = *n < kMaxListBytes;
  co_return absl::OkStatus();
}

PathInfo LookBelow(Driver* driver, const Directory& root, const RelPath& path) {
  PathInfo info;
  const absl::StatusOr<DirectoryPtr> parent = OpenBeneath(driver, root, path.Parent(), DirectoryAccess::kPath);
  info.has_parent = parent.ok();
  if (parent.ok()) {
    Look(driver, (*parent)->fd(), path.is_root() ? "." : LeafName(path), /*follow=*/false, &info);
  } else if (StatusErrno(parent.status()) != ENOENT) {
    info.error = StatusErrno(parent.status());
  }
  return info;
}

}  // namespace

absl::Status CheckHostPathsAllowed(const AgentContext& context) {
  if (context.host_paths) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "this agent serves its named roots only; name one, as in agent://HOST/ROOT/PATH (paths of a host are for agents "
      "that a command "
      "starts there for itself)");
}

Task<absl::StatusOr<PathReply>> AnswerPathQuery(const AgentContext* context, PathQuery query) {
  Driver* const driver = Shard::Current()->driver();
  const Root* root = nullptr;
  if (query.root.empty()) {
    US_CO_RETURN_IF_ERROR(CheckHostPathsAllowed(*context));
  } else {
    US_CO_ASSIGN_OR_RETURN(root, context->roots->Find(query.root));
  }
  PathReply reply;
  if (root == nullptr) reply.directory = WorkingDirectory(driver);
  if (query.expand) {
    for (const std::string& pattern : query.paths)
      US_CO_RETURN_IF_ERROR(ExpandWildcards(driver, pattern, &reply.names));
    for (std::string& name : reply.names) name = name.empty() ? "." : name;
  }
  if (!query.list_file.empty()) US_CO_RETURN_IF_ERROR(co_await ReadList(driver, query, &reply));
  for (const std::string& path : query.expand ? reply.names : query.paths) {
    if (root == nullptr) {
      reply.paths.push_back(LookAtHostPath(driver, path));
    } else {
      US_CO_ASSIGN_OR_RETURN(const RelPath below, RelPath::Parse(path));
      reply.paths.push_back(LookBelow(driver, *root->directory, below));
    }
    if (reply.paths.size() % kPathsPerTurn == 0) co_await Yield{};
  }
  co_return reply;
}

}  // namespace uringsync
