#include "agent/source_mounts.h"

#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/fs/mount_table.h"
#include "engine/fs/syscalls.h"
#include "engine/tree/files_above.h"

namespace uringsync {
namespace {

// A directory that is in the transfer with all below it.
struct Top {
  DirectoryPtr directory;
  RelPath at;        // in the transfer
  std::string path;  // on this host
};

// Type and number of a file system; empty where it does not tell. Some change the number with every boot, so another
// one alone says little.
std::string IdentityOf(Driver* driver, const Directory& directory) {
  struct statfs stat{};
  if (driver->Call(CallCode::kFstatfs, directory.fd(), sys::Arg(&stat)) != 0) return {};
  std::array<char, 64> text{};
  const int* const number = reinterpret_cast<const int*>(&stat.f_fsid);
  std::snprintf(text.data(), text.size(), "%lx:%x:%x", static_cast<unsigned long>(stat.f_type),
                static_cast<unsigned>(number[0]), static_cast<unsigned>(number[1]));
  return text.data();
}

bool IsEmpty(Driver* driver, const Directory& directory) {
  const absl::StatusOr<DirectoryPtr> opened = OpenBeneath(driver, directory, RelPath(), DirectoryAccess::kRead);
  if (!opened.ok()) return false;
  DirectoryReader reader(driver, (*opened)->fd());
  DirectoryItem item;
  while (reader.Next(&item) > 0) {
    if (item.name != "lost+found") return false;
  }
  return true;
}

class SourceMounts {
 public:
  SourceMounts(Driver* driver, const SourceMountOptions& options) : driver_(driver), options_(options) {
    for (Mount& mount : ReadMountTable()) points_.push_back(std::move(mount.point));
    if (options.view == nullptr) {
      AddTop(options.root, RelPath());
      return;
    }
    const std::vector<TreeView::Member>& members = options.view->members();
    for (size_t i = 0; i < members.size() && tops_.size() < kMaxTreeRoots; ++i) {
      if (members[i].depth != ViewDepth::kTree) continue;
      absl::StatusOr<DirectoryPtr> directory =
          options.view->OpenPlace(driver, {i, RelPath()}, DirectoryAccess::kReadIfPermitted);
      if (directory.ok()) AddTop(*std::move(directory), members[i].at);
    }
  }

  void Tell(std::vector<MountedPlace>* mounts) {
    for (const Top& top : tops_) {
      Add(mounts, HomeOf(top), *top.directory);
      for (const std::string& point : points_) {
        const DirectoryPtr below = Below(top, point);
        if (below != nullptr) Add(mounts, point, *below);
      }
    }
  }

  void Compare(const std::vector<MountedPlace>& recorded, std::vector<LostMount>* lost) {
    for (const MountedPlace& mount : recorded) {
      for (const Top& top : tops_) {
        const std::optional<bool> loss = LossOf(top, mount);
        if (!loss) continue;
        lost->push_back({mount.point, *loss});
        break;
      }
    }
  }

 private:
  void AddTop(DirectoryPtr directory, const RelPath& at) {
    const absl::StatusOr<std::string> path = AbsolutePath(driver_, *directory);
    if (path.ok()) tops_.push_back({std::move(directory), at, "/" + *path});
  }

  bool IsMounted(std::string_view point) const {
    return std::find(points_.begin(), points_.end(), point) != points_.end();
  }

  std::string HomeOf(const Top& top) const {
    std::string home;
    for (const std::string& point : points_) {
      if (point.size() > home.size() && LiesWithin(top.path, point)) home = point;
    }
    return home;
  }

  // The directory at `point`, where that lies below the top and is in the transfer.
  DirectoryPtr Below(const Top& top, const std::string& point) const {
    if (options_.one_file_system || point == top.path || !LiesWithin(point, top.path)) return nullptr;
    const absl::StatusOr<RelPath> rest = RelPath::Parse(point.substr(top.path == "/" ? 1 : top.path.size() + 1));
    if (!rest.ok()) return nullptr;
    const absl::StatusOr<RelPath> path = top.at.is_root() ? rest : RelPath::Parse(top.at.text() + "/" + rest->text());
    if (!path.ok() || options_.hides(*path)) return nullptr;
    absl::StatusOr<DirectoryPtr> directory = OpenBeneath(driver_, *top.directory, *rest);
    return directory.ok() ? *std::move(directory) : nullptr;
  }

  void Add(std::vector<MountedPlace>* mounts, const std::string& point, const Directory& directory) {
    const bool known = std::any_of(mounts->begin(), mounts->end(), [&](const auto& m) { return m.point == point; });
    const bool fits = mounts->size() < kMaxMounts && bytes_ + point.size() <= kMaxMountBytes;
    if (point.empty() || point.size() > kMaxHostPathBytes || known || !fits) return;
    bytes_ += point.size();
    mounts->push_back({point, IdentityOf(driver_, directory)});
  }

  // As LostMount::emptied; nullopt: no loss of this top.
  std::optional<bool> LossOf(const Top& top, const MountedPlace& recorded) const {
    const bool above = LiesWithin(top.path, recorded.point);
    const DirectoryPtr there = above ? top.directory : Below(top, recorded.point);
    if (there == nullptr) return std::nullopt;
    if (!IsMounted(recorded.point)) return false;
    // Of what is mounted above, the tree's own file system alone says something.
    if (above && HomeOf(top) != recorded.point) return std::nullopt;
    const bool other = IdentityOf(driver_, *there) != recorded.file_system;
    return other && IsEmpty(driver_, *there) ? std::optional(true) : std::nullopt;
  }

  Driver* const driver_;
  const SourceMountOptions& options_;
  std::vector<std::string> points_;
  std::vector<Top> tops_;
  size_t bytes_ = 0;
};

}  // namespace

MountReply AnswerMounts(Driver* driver, const SourceMountOptions& options, const MountQuery& query) {
  SourceMounts mounts(driver, options);
  MountReply reply;
  mounts.Tell(&reply.mounts);
  mounts.Compare(query.recorded, &reply.lost);
  return reply;
}

}  // namespace uringsync
