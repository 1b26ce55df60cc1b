#include "coordinator/link/basis_path.h"

#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

std::string Quoted(std::string_view text) {
  return "directory \"" + EscapeName(std::string(text)) + "\"";
}

// The parent of an absolute path without "." and "..".
std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

absl::StatusOr<RelPath> ResolveAgentBasis(const RelPath& destination, std::string_view text) {
  if (text.substr(0, 1) == "/") {
    return LinkError(ErrorKind::kUsage,
                     Quoted(text) +
                         ": an agent that listens shows nothing above its roots; give a path relative "
                         "to the destination");
  }
  RelPath path = destination;
  for (const std::string_view component : PathComponents(text)) {
    if (component != "..") {
      if (!ValidateName(component).ok()) return LinkError(ErrorKind::kUsage, Quoted(text) + " is no valid path");
      path = path.Child(component);
    } else if (path.is_root()) {
      return LinkError(ErrorKind::kUsage, Quoted(text) + " lies above the root of the destination's agent");
    } else {
      path = path.Parent();
    }
  }
  return path;
}

absl::StatusOr<LocalBasis> ResolveLocalBasis(const ResolvedPath& destination, std::string_view text) {
  // The destination's own path is canonical (and may not be there yet): only its part is climbed without the file
  // system.
  std::string base = text.substr(0, 1) == "/" ? "/" : destination.Canonical();
  std::vector<std::string_view> components = PathComponents(text);
  size_t first = 0;
  for (; first < components.size() && components[first] == ".."; ++first) base = ParentOf(base);
  LocalBasis found{base, RelPath()};
  // Of a destination that is yet to be made only the last component is missing.
  struct stat there{};
  if (::stat(base.c_str(), &there) != 0 && errno == ENOENT) {
    found = {ParentOf(base), RelPath().Child(base.substr(base.rfind('/') + 1))};
    for (const std::string_view component : components) {
      if (!ValidateName(component).ok()) return LinkError(ErrorKind::kSelection, Quoted(text) + " is no valid path");
      found.path = found.path.Child(component);
    }
    return found;
  }
  for (size_t i = first; i < components.size(); ++i) {
    const std::string next = (found.root == "/" ? "" : found.root) + "/" + std::string(components[i]);
    char canonical[PATH_MAX];
    if (::realpath(next.c_str(), canonical) != nullptr) {
      found.root = canonical;
      continue;
    }
    if (errno != ENOENT) {
      return LinkError(ErrorKind::kSelection,
                       Quoted(text) + ": " + std::string(ToStd(ErrnoStatus(errno, "open").message())));
    }
    for (; i < components.size(); ++i) {
      if (!ValidateName(components[i]).ok())
        return LinkError(ErrorKind::kSelection, Quoted(text) + " is no valid path");
      found.path = found.path.Child(components[i]);
    }
    return found;
  }
  return found;
}

bool MayBeDirectory(const LocalBasis& basis) {
  struct stat found{};
  if (::stat(basis.root.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) ||
      ::access(basis.root.c_str(), R_OK | X_OK) != 0)
    return false;
  const std::string& missing = basis.path.text();
  return missing.empty() || ::lstat((basis.root + "/" + missing.substr(0, missing.find('/'))).c_str(), &found) != 0;
}

std::optional<RelPath> InsideOf(const std::string& destination, const std::string& directory) {
  std::string plain = std::filesystem::path(directory).lexically_normal().string();
  while (plain.ends_with('/')) plain.pop_back();
  const std::string here = destination + (destination.ends_with('/') ? "" : "/");
  if (plain.starts_with(here)) plain.erase(0, here.size());
  absl::StatusOr<RelPath> inside = RelPath::Parse(plain);
  if (!inside.ok() || inside->is_root()) return std::nullopt;
  return *std::move(inside);
}

}  // namespace uringsync
