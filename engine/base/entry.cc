#include "engine/base/entry.h"

#include <sys/stat.h>

#include <algorithm>

#include "engine/base/leaf_digest.h"

namespace uringsync {

std::optional<FileType> FileTypeFromMode(uint32_t st_mode) {
  switch (st_mode & S_IFMT) {
    case S_IFREG: return FileType::kRegular;
    case S_IFDIR: return FileType::kDirectory;
    case S_IFLNK: return FileType::kSymlink;
    case S_IFIFO: return FileType::kFifo;
    case S_IFSOCK: return FileType::kSocket;
    case S_IFBLK: return FileType::kBlockDevice;
    case S_IFCHR: return FileType::kCharDevice;
    default: return std::nullopt;
  }
}

uint32_t FileTypeToMode(FileType type) {
  switch (type) {
    case FileType::kRegular: return S_IFREG;
    case FileType::kDirectory: return S_IFDIR;
    case FileType::kSymlink: return S_IFLNK;
    case FileType::kFifo: return S_IFIFO;
    case FileType::kSocket: return S_IFSOCK;
    case FileType::kBlockDevice: return S_IFBLK;
    case FileType::kCharDevice: return S_IFCHR;
  }
  return 0;
}

const char* FileTypeName(FileType type) {
  switch (type) {
    case FileType::kRegular: return "file";
    case FileType::kDirectory: return "directory";
    case FileType::kSymlink: return "symlink";
    case FileType::kFifo: return "fifo";
    case FileType::kSocket: return "socket";
    case FileType::kBlockDevice: return "block device";
    case FileType::kCharDevice: return "character device";
  }
  return "object of an unknown type";
}

bool MetadataSelection::WithinWindow(const FileTime& a, const FileTime& b) const {
  if (a == b) return true;
  if (!modify_window_s) return false;
  const auto [early, late] = std::minmax(a.seconds, b.seconds);
  // Unsigned: the distance of two times may be larger than either type of time.
  return static_cast<uint64_t>(late) - static_cast<uint64_t>(early) <= *modify_window_s;
}

uint32_t WithExecutability(uint32_t mode, uint32_t source_mode) {
  constexpr uint32_t kExecute = 0111;
  constexpr uint32_t kRead = 0444;
  if ((source_mode & kExecute) == 0) return mode & ~kExecute;
  return (mode & kExecute) != 0 ? mode : mode | (mode & kRead) >> 2;
}

std::string CanonicalXattrs(const XattrList& xattrs) {
  std::string canonical;
  const auto append = [&canonical](const std::string& part) {
    const auto length = static_cast<uint32_t>(part.size());
    canonical.append(reinterpret_cast<const char*>(&length), sizeof(length));
    canonical += part;
  };
  for (const Xattr& xattr : xattrs) {
    append(xattr.name);
    append(xattr.value);
  }
  return canonical;
}

Digest128 XattrDigest(const XattrList& xattrs, const std::optional<DigestKey>& key) {
  if (xattrs.empty()) return {};
  const std::string canonical = CanonicalXattrs(xattrs);
  return key ? KeyedDigest(*key, DigestDomain::kAttributes, canonical) : Xxh128(canonical);
}

}  // namespace uringsync
