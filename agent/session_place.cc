#include "agent/session_place.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "engine/base/sha256.h"
#include "engine/tree/files_above.h"

namespace uringsync {
namespace {

constexpr size_t kMaxNamed = 64;
constexpr size_t kPlaceDigits = 32;

// Of the installation, for good.
std::string MachineId() {
  std::ifstream file("/etc/machine-id");
  std::string id;
  std::getline(file, id);
  return id;
}

std::string ParentOf(const std::string& path) {
  return path.substr(0, std::max(path.rfind('/'), size_t{1}));
}

}  // namespace

std::string PlaceOfPaths(std::string_view machine, std::vector<std::string> paths) {
  if (paths.empty()) return {};
  std::ranges::sort(paths);
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  Sha256 sha;
  sha.Update("uringsync place 1");
  sha.Update(std::string_view("", 1));
  sha.Update(machine);
  for (const std::string& path : paths) {
    sha.Update(std::string_view("", 1));
    sha.Update(path);
  }
  return Hex(sha.Finish()).substr(0, kPlaceDigits);
}

std::string PlaceOf(Driver* driver, const Directory& directory) {
  const absl::StatusOr<std::string> path = AbsolutePath(driver, directory);
  return path.ok() ? PlaceOfPaths(MachineId(), {"/" + *path}) : std::string();
}

std::string PlaceOf(Driver* driver, const TreeView& view) {
  std::vector<std::string> paths;
  const std::vector<TreeView::Member>& members = view.members();
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].depth != ViewDepth::kTree) continue;
    const absl::StatusOr<DirectoryPtr> directory =
        view.OpenPlace(driver, {i, RelPath()}, DirectoryAccess::kReadIfPermitted);
    if (!directory.ok()) continue;
    const absl::StatusOr<std::string> path = AbsolutePath(driver, **directory);
    if (!path.ok()) return {};
    paths.push_back("/" + *path);
  }
  if (paths.size() > kMaxNamed) std::ranges::transform(paths, paths.begin(), ParentOf);
  return PlaceOfPaths(MachineId(), std::move(paths));
}

}  // namespace uringsync
