#include "engine/fs/file_system.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/atomic_file.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"
#include "engine/fs/xattrs.h"

namespace uringsync {
namespace {

struct KnownType {
  uint64_t magic;
  const char* name;
};
// linux/magic.h and the file systems' own sources.
constexpr KnownType kKnownTypes[] = {
    {0xEF53, "ext4"},         {0x01021994, "tmpfs"},    {0x58465342, "xfs"},     {0x9123683E, "btrfs"},
    {0x6969, "nfs"},          {0x794C7630, "overlay"},  {0x65735546, "fuse"},    {0x2FC12FC1, "zfs"},
    {0xF2F52010, "f2fs"},     {0x4D44, "vfat"},         {0x2011BAB0, "exfat"},   {0x7366746E, "ntfs3"},
    {0x5346544E, "ntfs"},     {0xFF534D42, "cifs"},     {0xFE534D42, "smb2"},    {0x0BD00BD0, "lustre"},
    {0x00C36400, "ceph"},     {0x01161970, "gfs2"},     {0x7461636F, "ocfs2"},   {0x47504653, "gpfs"},
    {0x858458F6, "ramfs"},    {0x73717368, "squashfs"}, {0x9660, "isofs"},       {0xE0F5E1E2, "erofs"},
    {0x9FA0, "proc"},         {0x62656572, "sysfs"},    {0x01021997, "9p"},      {0xCA451A4E, "bcachefs"},
    {0x52654973, "reiserfs"}, {0x3153464A, "jfs"},      {0x482B, "hfsplus"},     {0x15013346, "udf"},
    {0x6A656A63, "virtiofs"}, {0x27E0EB, "cgroup"},     {0x63677270, "cgroup2"}, {0x958458F6, "hugetlbfs"},
    {0xF15F, "ecryptfs"},     {0x1373, "devfs"},        {0x5346414F, "afs"},     {0x6B414653, "kafs"},
};
constexpr uint64_t kMsdosMagic = 0x4D44;
constexpr uint64_t kExfatMagic = 0x2011BAB0;

// A second that is odd (FAT keeps even ones) and nanoseconds in which every digit shows.
constexpr timespec kProbeTime = {.tv_sec = 1000000001, .tv_nsec = 123456789};

int StatFs(Driver* driver, int fd, uint64_t* magic) {
  struct statfs stat;
  const long result = driver->Call(CallCode::kFstatfs, fd, sys::Arg(&stat));
  if (result < 0) return static_cast<int>(result);
  *magic = static_cast<uint32_t>(stat.f_type);
  return 0;
}

uint32_t GranularityOf(const statx_timestamp& kept) {
  if (kept.tv_sec != kProbeTime.tv_sec) return 2'000'000'000;
  for (uint32_t step = 1; step < 1'000'000'000; step *= 10) {
    if (kProbeTime.tv_nsec / step * step == kept.tv_nsec) return step;
  }
  return 1'000'000'000;
}

FeatureReport Report(std::string name, long result, std::string meaning) {
  FeatureReport report;
  report.name = std::move(name);
  report.state = result >= 0 ? FeatureState::kYes : FeatureState::kNo;
  report.error = result >= 0 ? 0 : static_cast<int>(-result);
  report.meaning = std::move(meaning);
  return report;
}

// "u::rw-,u:65534:r--,g::r--,m::r--,o::---" as the kernel takes it (linux/posix_acl_xattr.h).
std::string SampleAcl() {
  struct AclEntry {
    uint16_t tag;
    uint16_t permissions;
    uint32_t id;
  };
  constexpr uint32_t kVersion = 2;
  constexpr uint32_t kNoId = ~uint32_t{0};
  constexpr AclEntry kEntries[] = {
      {0x01, 6, kNoId}, {0x02, 4, 65534}, {0x04, 4, kNoId}, {0x10, 4, kNoId}, {0x20, 0, kNoId}};
  std::string acl(reinterpret_cast<const char*>(&kVersion), sizeof(kVersion));
  acl.append(reinterpret_cast<const char*>(kEntries), sizeof(kEntries));
  return acl;
}

long ProbeSeekHole(Driver* driver, int fd) {
  constexpr uint64_t kSize = uint64_t{1} << 20;
  const int cut = sys::Ftruncate(driver, fd, kSize);
  if (cut < 0) return cut;
  const int64_t hole = sys::Lseek(driver, fd, 0, SEEK_HOLE);
  if (hole < 0) return hole;
  return hole == 0 ? 0
                   : -EOPNOTSUPP;  // "the only hole is at the end" is the answer of a file system that does not know
}

long ProbeReflink(Driver* driver, int from, int to) {
  const std::string block(4096, 'x');
  const int64_t written = sys::Pwrite(driver, from, block.data(), block.size(), 0);
  if (written < 0) return written;
  return sys::Ioctl(driver, to, FICLONE, from);
}

long ProbeSpecial(Driver* driver, const DirectoryPtr& directory, StateNamer* namer, FileType type) {
  Entry wanted;
  wanted.type = type;
  wanted.rdev_major = 1;  // /dev/null
  wanted.rdev_minor = 3;
  const absl::StatusOr<StagedObject> made = StagedObject::CreateSpecial(driver, directory, namer, wanted);
  return made.ok() ? 0 : -StatusErrno(made.status());
}

}  // namespace

absl::StatusOr<std::string> FileSystemTypeName(Driver* driver, int fd) {
  uint64_t magic = 0;
  const int result = StatFs(driver, fd, &magic);
  if (result < 0) return ErrnoStatus(-result, "fstatfs");
  for (const KnownType& known : kKnownTypes) {
    if (known.magic == magic) return std::string(known.name);
  }
  char hex[32];
  std::snprintf(hex, sizeof(hex), "0x%llx", static_cast<unsigned long long>(magic));
  return std::string(hex);
}

bool SyncsUnnamedFiles(Driver* driver, int fd) {
  constexpr uint64_t kOrdered[] = {0xEF53, 0x58465342, 0x01021994};  // ext2 to ext4, xfs, tmpfs
  uint64_t magic = 0;
  return StatFs(driver, fd, &magic) >= 0 && std::ranges::find(kOrdered, magic) != std::end(kOrdered);
}

uint32_t ProbeTimeGranularity(Driver* driver, const Directory& directory) {
  const int fd = sys::Openat(driver, directory.fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    // File systems with coarse times that have no O_TMPFILE are known by name.
    uint64_t magic = 0;
    if (StatFs(driver, directory.fd(), &magic) < 0) return 1;
    if (magic == kMsdosMagic) return 2'000'000'000;
    return magic == kExfatMagic ? 10'000'000 : 1;
  }
  UniqueFd file(fd);
  const timespec times[2] = {kProbeTime, kProbeTime};
  struct statx stat;
  if (sys::Utimensat(driver, fd, nullptr, times, 0) < 0 || !StatDescriptor(driver, fd, &stat).ok()) return 1;
  return GranularityOf(stat.stx_mtime);
}

TimeRange ProbeTimeRange(Driver* driver, const Directory& directory) {
  TimeRange range;
  const UniqueFd file(sys::Openat(driver, directory.fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.valid()) {
    uint64_t magic = 0;
    if (StatFs(driver, directory.fd(), &magic) < 0) return range;
    // 1980-01-01 to 2107-12-31, of the local time of whoever mounted it: within a day.
    constexpr int64_t kDay = 86'400;
    if (magic == kMsdosMagic || magic == kExfatMagic) range = {315'532'800 + kDay, 4'354'819'198 - kDay};
    return range;
  }
  const auto kept = [&](int64_t seconds) {
    const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 0}, {.tv_sec = seconds, .tv_nsec = 0}};
    struct statx stat;
    if (sys::Utimensat(driver, file.get(), nullptr, times, 0) < 0 || !StatDescriptor(driver, file.get(), &stat).ok())
      return seconds;
    return static_cast<int64_t>(stat.stx_mtime.tv_sec);
  };
  const TimeRange probed = {kept(range.min_seconds), kept(range.max_seconds)};
  // A file system that answers something else than a limit (one that wraps around) is taken as one without.
  const int64_t now = kProbeTime.tv_sec;
  return probed.min_seconds < now && now < probed.max_seconds ? probed : range;
}

std::vector<FeatureReport> ProbeFeatures(Driver* driver, const Directory& directory, StateNamer* namer) {
  std::vector<FeatureReport> reports;
  const int copy = sys::Fcntl(driver, directory.fd(), F_DUPFD_CLOEXEC);
  const auto held = std::make_shared<const Directory>(UniqueFd(copy), directory.readable());
  absl::StatusOr<StagedObject> first = StagedObject::CreateFile(driver, held, namer);
  absl::StatusOr<StagedObject> second = StagedObject::CreateFile(driver, held, namer);
  if (!first.ok() || !second.ok()) {
    const absl::Status& why = first.ok() ? second.status() : first.status();
    FeatureReport report;
    report.name = "writable";
    report.state = FeatureState::kUnknown;
    report.error = StatusErrno(why);
    report.meaning = "nothing can be created here, so nothing else was tried";
    reports.push_back(std::move(report));
    return reports;
  }
  XattrAccess xattrs(driver);
  const ObjectHandle file = first->handle();
  reports.push_back(
      Report("user xattrs", xattrs.Set(file, "user.uringsync.probe", "1"), "user.* attributes cannot be kept"));
  reports.push_back(Report("trusted xattrs", xattrs.Set(file, "trusted.uringsync.probe", "1"),
                           "trusted.* attributes cannot be kept (they need CAP_SYS_ADMIN)"));
  reports.push_back(
      Report("ACLs", xattrs.Set(file, "system.posix_acl_access", SampleAcl()), "POSIX ACLs cannot be kept"));
  const UniqueFd unnamed(sys::Openat(driver, held->fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  reports.push_back(
      Report("O_TMPFILE", unnamed.valid() ? 0 : -EOPNOTSUPP, "the granularity of times cannot be probed"));
  const char* a = first->temporary_name().c_str();
  const char* b = second->temporary_name().c_str();
  const int no_replace = sys::Renameat2(driver, held->fd(), a, held->fd(), b, RENAME_NOREPLACE);
  reports.push_back(Report("RENAME_NOREPLACE", no_replace == -EEXIST ? 0 : no_replace,
                           "new files are published by link and unlink instead"));
  reports.push_back(Report("RENAME_EXCHANGE", sys::Renameat2(driver, held->fd(), a, held->fd(), b, RENAME_EXCHANGE),
                           "two names cannot be exchanged in one step"));
  reports.push_back(Report(
      "hard links",
      [&] {
        const absl::StatusOr<StagedObject> link = StagedObject::CreateLink(driver, held, namer, *held, a);
        return link.ok() ? 0L : -static_cast<long>(StatusErrno(link.status()));
      }(),
      "hard links between files cannot be kept"));
  reports.push_back(
      Report("reflink", ProbeReflink(driver, first->fd(), second->fd()), "blocks cannot be shared between copies"));
  reports.push_back(
      Report("SEEK_HOLE", ProbeSeekHole(driver, second->fd()), "holes of sparse files are read and sent as zeros"));
  reports.push_back(Report("FIFOs", ProbeSpecial(driver, held, namer, FileType::kFifo), "FIFOs cannot be created"));
  reports.push_back(
      Report("sockets", ProbeSpecial(driver, held, namer, FileType::kSocket), "sockets cannot be created"));
  reports.push_back(Report("devices", ProbeSpecial(driver, held, namer, FileType::kCharDevice),
                           "device nodes cannot be created (they need CAP_MKNOD)"));
  const uint32_t granularity = ProbeTimeGranularity(driver, *held);
  FeatureReport times;
  times.name = "times in ns";
  times.state = granularity == 1 ? FeatureState::kYes : FeatureState::kNo;
  times.meaning = "modification times are kept in steps of " + std::to_string(granularity) + " ns";
  reports.push_back(std::move(times));
  return reports;
}

}  // namespace uringsync
