#include "agent/source_mounts.h"

#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/fs/file_system.h"
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

constexpr uint64_t kExtMagic = 0xEF53;
constexpr uint64_t kXfsMagic = 0x58465342;
constexpr uint64_t kBtrfsMagic = 0x9123683E;
// Before an id that lasts; " part " comes behind that of a file system with subvolumes.
constexpr std::string_view kId = " id ";
constexpr std::string_view kUuid = " uuid ";
constexpr std::string_view kPart = " part ";

// linux/fs.h, from 6.9 on; not in the headers of Debian 12.
struct FileSystemUuid {
  uint8_t bytes;
  uint8_t uuid[16];
};
constexpr unsigned long kGetFileSystemUuid = _IOR(0x15, 0, FileSystemUuid);

std::string UuidText(const uint8_t (&uuid)[16]) {
  std::array<char, 3> digits{};
  std::string text;
  for (size_t i = 0; i < sizeof(uuid); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    std::snprintf(digits.data(), digits.size(), "%02x", uuid[i]);
    text += digits.data();
  }
  return text;
}

std::string XfsUuid(Driver* driver, int fd) {
  FileSystemUuid told{};
  const bool known = sys::Ioctl(driver, fd, kGetFileSystemUuid, sys::Arg(&told)) == 0 && told.bytes == 16;
  return known ? UuidText(told.uuid) : std::string();
}

std::string BtrfsUuid(Driver* driver, int fd) {
  btrfs_ioctl_fs_info_args told{};
  return sys::Ioctl(driver, fd, BTRFS_IOC_FS_INFO, sys::Arg(&told)) == 0 ? UuidText(told.fsid) : std::string();
}

// Type and id of a file system, as AreOthers compares them; empty where it does not tell.
std::string IdentityOf(Driver* driver, const Directory& directory) {
  struct statfs stat{};
  const absl::StatusOr<std::string> type = FileSystemTypeName(driver, directory.fd());
  if (!type.ok() || driver->Call(CallCode::kFstatfs, directory.fd(), sys::Arg(&stat)) != 0) return {};
  const auto* const number = reinterpret_cast<const unsigned*>(&stat.f_fsid);
  std::array<char, 32> text{};
  // From the UUID in its superblock.
  if (uint64_t(stat.f_type) == kExtMagic) {
    std::snprintf(text.data(), text.size(), "%08x%08x", number[0], number[1]);
    return *type + std::string(kId) + text.data();
  }
  // Of a descriptor that is good for nothing but paths it would not tell.
  const absl::StatusOr<DirectoryPtr> opened = OpenBeneath(driver, directory, RelPath(), DirectoryAccess::kReadIfPermitted);
  const int fd = opened.ok() ? (*opened)->fd() : directory.fd();
  const bool btrfs = uint64_t(stat.f_type) == kBtrfsMagic;
  const bool xfs = uint64_t(stat.f_type) == kXfsMagic;
  const std::string uuid = btrfs ? BtrfsUuid(driver, fd) : xfs ? XfsUuid(driver, fd) : std::string();
  if (uuid.empty()) {
    std::snprintf(text.data(), text.size(), " number %x:%x", number[0], number[1]);
    return *type + text.data();
  }
  if (!btrfs) return *type + std::string(kUuid) + uuid;
  std::snprintf(text.data(), text.size(), "%x", number[1]);
  return *type + std::string(kUuid) + uuid + std::string(kPart) + text.data();
}

std::string_view TypeIn(std::string_view identity) {
  return identity.substr(0, identity.find(' '));
}

// Empty: none that lasts.
std::string_view LastingId(std::string_view identity) {
  for (const std::string_view word : {kId, kUuid}) {
    const size_t at = identity.find(word);
    if (at == std::string_view::npos) continue;
    identity = identity.substr(at);
    return identity.substr(0, identity.find(kPart));
  }
  return {};
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
        const std::optional<MountLoss> loss = LossOf(top, mount);
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

  // nullopt: no loss of this top.
  std::optional<MountLoss> LossOf(const Top& top, const MountedPlace& recorded) const {
    const bool above = LiesWithin(top.path, recorded.point);
    const DirectoryPtr there = above ? top.directory : Below(top, recorded.point);
    if (there == nullptr) return std::nullopt;
    if (!IsMounted(recorded.point)) return MountLoss::kUnmounted;
    // Of what is mounted above, the tree's own file system alone says something.
    if (above && HomeOf(top) != recorded.point) return std::nullopt;
    const std::string now = IdentityOf(driver_, *there);
    if (now == recorded.file_system) return std::nullopt;
    if (IsEmpty(driver_, *there)) return MountLoss::kEmptied;
    return AreOthers(recorded.file_system, now) ? std::optional(MountLoss::kReplaced) : std::nullopt;
  }

  Driver* const driver_;
  const SourceMountOptions& options_;
  std::vector<std::string> points_;
  std::vector<Top> tops_;
  size_t bytes_ = 0;
};

}  // namespace

bool AreOthers(std::string_view one, std::string_view another) {
  if (one.empty() || another.empty()) return false;
  if (TypeIn(one) != TypeIn(another)) return true;
  return !LastingId(one).empty() && !LastingId(another).empty() && LastingId(one) != LastingId(another);
}

MountReply AnswerMounts(Driver* driver, const SourceMountOptions& options, const MountQuery& query) {
  SourceMounts mounts(driver, options);
  MountReply reply;
  mounts.Tell(&reply.mounts);
  mounts.Compare(query.recorded, &reply.lost);
  return reply;
}

}  // namespace uringsync
