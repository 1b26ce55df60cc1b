#include "coordinator/link/host_places.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

std::string Join(const std::string& above, std::string_view below) {
  if (above.empty() || above == ".") return std::string(below);
  return above + (above.ends_with('/') ? "" : "/") + std::string(below);
}

// Absolute, without "." and "..", no '/' at the end.
std::string Plain(const std::string& path, const std::string& working_directory) {
  const std::string absolute = path.starts_with('/') ? path : Join(working_directory, path);
  return std::string(WithoutTrailingSlashes(std::filesystem::path(absolute).lexically_normal().string()));
}

}  // namespace

std::string PathBeside(const std::string& destination, bool is_there, std::string_view directory) {
  if (directory.starts_with('/')) return std::string(directory);
  std::string base = destination;
  while (!is_there && (directory.starts_with("../") || directory == "..")) {
    base = ParentOfHostPath(base);
    directory.remove_prefix(std::min<size_t>(directory.size(), 3));
  }
  return Join(base, directory.empty() ? "." : directory);
}

std::vector<std::string> WayTo(std::string_view path) {
  std::vector<std::string> way = {path.starts_with('/') ? "/" : "."};
  for (const std::string_view component : PathComponents(path)) way.push_back(Join(way.back(), component));
  return way;
}

absl::StatusOr<RelPath> RestOfWay(std::string_view path, size_t known) {
  const std::vector<std::string_view> components = PathComponents(path);
  RelPath rest;
  for (size_t i = known - 1; i < components.size(); ++i) {
    if (!ValidateName(components[i]).ok()) {
      return LinkError(ErrorKind::kUsage, "directory \"" + EscapeName(std::string(path)) + "\" is no valid path");
    }
    rest = rest.Child(components[i]);
  }
  return rest;
}

absl::StatusOr<std::optional<RelPath>> PlaceWithin(const std::string& destination, std::string_view directory,
                                                   const std::string& working_directory) {
  std::string here = Plain(destination.empty() ? "." : destination, working_directory);
  const std::string there = Plain(PathBeside(here, /*is_there=*/true, directory), working_directory);
  if (here == there) return LinkError(ErrorKind::kUsage, "the backup directory is the destination itself");
  if (!here.ends_with('/')) here += "/";
  if (!there.starts_with(here)) return std::optional<RelPath>();
  US_ASSIGN_OR_RETURN(RelPath inside, RelPath::Parse(std::string_view(there).substr(here.size())));
  return std::optional<RelPath>(std::move(inside));
}

}  // namespace uringsync
