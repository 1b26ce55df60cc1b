#include "engine/fs/volume.h"

#include <linux/fs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>

#include "engine/fs/syscalls.h"
#include "engine/fs/xattrs.h"

namespace uringsync {
namespace {

constexpr long kReadOnly = 0x1;         // ST_RDONLY of f_flags
constexpr int kCaseFolds = 0x40000000;  // FS_CASEFOLD_FL
constexpr uint64_t kLargestFatFile = (uint64_t{1} << 32) - 1;

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void LookAtRoom(Driver* driver, const Directory& directory, VolumeFacts* facts) {
  struct statfs stat{};
  if (driver->Call(CallCode::kFstatfs, directory.fd(), sys::Arg(&stat)) < 0) return;
  const uint64_t unit = stat.f_frsize > 0 ? static_cast<uint64_t>(stat.f_frsize) : static_cast<uint64_t>(stat.f_bsize);
  facts->bytes_total = uint64_t{stat.f_blocks} * unit;
  // What is kept back is kept back for root.
  facts->bytes_free = (::geteuid() == 0 ? uint64_t{stat.f_bfree} : uint64_t{stat.f_bavail}) * unit;
  facts->files_total = stat.f_files;
  facts->files_free = stat.f_ffree;
  facts->name_bytes_max = static_cast<uint32_t>(stat.f_namelen);
  facts->read_only = (stat.f_flags & kReadOnly) != 0;
}

}  // namespace

VolumeFacts LookAtVolume(Driver* driver, const Directory& directory, std::string_view type_name) {
  VolumeFacts facts;
  LookAtRoom(driver, directory, &facts);
  if (type_name == "vfat") facts.file_bytes_max = kLargestFatFile;
  facts.ignores_case = IsOneOf(type_name, {"vfat", "exfat"});
  facts.normalises_names = type_name == "hfsplus";
  int flags = 0;
  if (directory.readable() && sys::Ioctl(driver, directory.fd(), FS_IOC_GETFLAGS, sys::Arg(&flags)) >= 0 &&
      (flags & kCaseFolds) != 0) {
    facts.ignores_case = true;
  }
  XattrAccess xattrs(driver);
  const ObjectHandle self = ObjectHandle::At(directory.fd(), ".");
  char value = 0;
  facts.lacks_xattrs = xattrs.Get(self, "user.uringsync", &value, sizeof(value)) == -EOPNOTSUPP;
  facts.lacks_acls = xattrs.Get(self, "system.posix_acl_access", &value, sizeof(value)) == -EOPNOTSUPP;
  return facts;
}

}  // namespace uringsync
