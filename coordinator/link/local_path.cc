#include "coordinator/link/local_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

// Directories from a path up to "/" at most; deeper ones cannot be named by a path that realpath() takes.
constexpr int kMaxAncestors = 4096;

absl::Status Refuse(std::string_view side, std::string_view path, std::string_view reason) {
  return LinkError(ErrorKind::kSelection, std::string(side) + " " + EscapeName(path) + ": " + std::string(reason));
}

// nullopt with errno set.
std::optional<std::string> RealPath(const std::string& path) {
  std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
  if (resolved == nullptr) return std::nullopt;
  return std::string(resolved.get());
}

std::string WithoutTrailingSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

absl::StatusOr<ResolvedPath> ExistingDirectory(std::string_view side, std::string_view given,
                                               const std::string& canonical) {
  struct stat st;
  if (::stat(canonical.c_str(), &st) != 0) return Refuse(side, given, std::strerror(errno));
  const std::optional<FileType> type = FileTypeFromMode(st.st_mode);
  if (!S_ISDIR(st.st_mode)) {
    std::string reason = std::string("is a ") + (type ? FileTypeName(*type) : "strange object") + ", not a directory";
    reason += "; this command syncs whole trees, name the directory that holds it";
    return Refuse(side, given, reason);
  }
  ResolvedPath out;
  out.root = canonical;
  out.id = FileId{st.st_dev, st.st_ino};
  return out;
}

absl::StatusOr<ResolvedPath> MissingDestination(std::string_view given) {
  const std::string path = WithoutTrailingSlashes(given);
  struct stat st;
  if (::lstat(path.c_str(), &st) == 0) {
    return Refuse("destination", given, "is a symbolic link to something that does not exist");
  }
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
  if (slash == 0) parent = "/";
  if (absl::Status valid = ValidateName(name); !valid.ok()) return Refuse("destination", given, ToStd(valid.message()));
  std::optional<std::string> canonical = RealPath(parent);
  if (!canonical) {
    const int err = errno;
    if (err != ENOENT) return Refuse("destination", given, "parent directory: " + std::string(std::strerror(err)));
    return Refuse("destination", given,
                  "parent directory " + EscapeName(parent) + ": No such file or directory; make it first: mkdir -p " +
                      EscapeName(parent));
  }
  if (::stat(canonical->c_str(), &st) != 0) return Refuse("destination", given, std::strerror(errno));
  if (!S_ISDIR(st.st_mode)) return Refuse("destination", given, EscapeName(parent) + " is not a directory");
  ResolvedPath out;
  out.root = *std::move(canonical);
  out.path = RelPath().Child(name);
  out.create_root = true;
  return out;
}

bool IsBelow(const std::string& path, const std::string& ancestor) {
  if (ancestor == "/") return path != "/";
  return path.size() > ancestor.size() && path.compare(0, ancestor.size(), ancestor) == 0 &&
         path[ancestor.size()] == '/';
}

// True when the directory `id` is a proper ancestor of root/path by (device, inode).
bool HasAncestor(const ResolvedPath& below, const FileId& id) {
  std::string path = below.root;
  struct stat st;
  for (int i = 0; i < kMaxAncestors; ++i) {
    // The root itself is an ancestor only of something that is still to be made inside it.
    if ((i > 0 || !below.path.is_root()) && ::stat(path.c_str(), &st) == 0 && FileId{st.st_dev, st.st_ino} == id)
      return true;
    if (path == "/") return false;
    const size_t slash = path.rfind('/');
    path = slash == 0 ? "/" : path.substr(0, slash);
  }
  return false;
}

}  // namespace

std::string ResolvedPath::Canonical() const {
  if (path.is_root()) return root;
  return root == "/" ? "/" + path.text() : root + "/" + path.text();
}

absl::StatusOr<ResolvedPath> ResolveSource(std::string_view path) {
  std::optional<std::string> canonical = RealPath(std::string(path));
  if (!canonical) return Refuse("source", path, std::strerror(errno));
  return ExistingDirectory("source", path, *canonical);
}

absl::StatusOr<ResolvedPath> ResolveDestination(std::string_view path) {
  std::optional<std::string> canonical = RealPath(std::string(path));
  if (canonical) return ExistingDirectory("destination", path, *canonical);
  if (errno != ENOENT) return Refuse("destination", path, std::strerror(errno));
  return MissingDestination(path);
}

PathInfo LookAtPath(const std::string& path) {
  const auto kind = [](mode_t mode) {
    if (S_ISDIR(mode)) return PathKind::kDirectory;
    if (S_ISLNK(mode)) return PathKind::kSymlink;
    return S_ISREG(mode) ? PathKind::kFile : PathKind::kOther;
  };
  PathInfo info;
  struct stat st;
  const char* const name = path.empty() ? "." : path.c_str();
  if (::lstat(name, &st) == 0) {
    info.kind = kind(st.st_mode);
    if (info.kind != PathKind::kSymlink || ::stat(name, &st) == 0) {
      info.target = kind(st.st_mode);
      info.id = {st.st_dev, st.st_ino};
    }
  } else if (errno != ENOENT) {
    info.error = errno;
  }
  info.has_parent = ::stat(ParentOfHostPath(path).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
  return info;
}

Overlap FindOverlap(const ResolvedPath& source, const ResolvedPath& destination) {
  const bool both_exist = !source.create_root && !destination.create_root;
  const std::string from = source.Canonical();
  const std::string to = destination.Canonical();
  if (from == to || (both_exist && source.id == destination.id)) return Overlap::kSame;
  if (IsBelow(to, from) || HasAncestor(destination, source.id)) return Overlap::kDestinationInsideSource;
  if (IsBelow(from, to) || (!destination.create_root && HasAncestor(source, destination.id))) {
    return Overlap::kSourceInsideDestination;
  }
  return Overlap::kNone;
}

}  // namespace uringsync
