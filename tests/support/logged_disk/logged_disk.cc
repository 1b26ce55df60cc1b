// logged_disk: a FUSE file system with one file, `disk`, for a loop device, which writes down in their order what is
// written to it and when it is flushed. What a disk may hold after a loss of power is everything from before a flush, and
// of what came after it any part (tests/support/block_log.py).
//
//   logged_disk IMAGE LOG MOUNT-POINT
//
// LOG is a row of records: 8 bytes kind (1 write, 2 flush), 8 bytes offset, 8 bytes length, in the machine's order, and
// the bytes of a write. A record is in LOG before the kernel hears that what it tells is done. It stays in the
// foreground until it is unmounted; one thread, so that the order is the kernel's.
#define FUSE_USE_VERSION 31
#include <fcntl.h>
#include <fuse.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

namespace uringsync::logged_disk {
namespace {

constexpr char kDiskPath[] = "/disk";
enum class Kind : uint64_t { kWrite = 1, kFlush = 2 };

// One mount a process.
struct Disk {
  int image = -1;
  int log = -1;
};
Disk disk;

// True once the whole record is in the log: a part of one would hide all later ones.
bool Note(Kind kind, const char* bytes, uint64_t length, uint64_t offset) {
  uint64_t header[3] = {static_cast<uint64_t>(kind), offset, length};
  const iovec parts[2] = {{header, sizeof(header)}, {const_cast<char*>(bytes), length}};
  return ::writev(disk.log, parts, 2) == static_cast<ssize_t>(sizeof(header) + length);
}

int GetAttributes(const char* path, struct stat* out, fuse_file_info*) {
  *out = {};
  if (std::strcmp(path, "/") == 0) {
    out->st_mode = S_IFDIR | 0700;
    out->st_nlink = 2;
    return 0;
  }
  if (std::strcmp(path, kDiskPath) != 0) return -ENOENT;
  struct stat image {};
  if (::fstat(disk.image, &image) != 0) return -errno;
  out->st_mode = S_IFREG | 0600;
  out->st_nlink = 1;
  out->st_size = image.st_size;
  return 0;
}

int List(const char*, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
  fill(buffer, kDiskPath + 1, nullptr, 0, fuse_fill_dir_flags(0));
  return 0;
}

int Open(const char* path, fuse_file_info*) {
  return std::strcmp(path, kDiskPath) == 0 ? 0 : -ENOENT;
}

int Read(const char*, char* buffer, size_t bytes, off_t offset, fuse_file_info*) {
  const ssize_t got = ::pread(disk.image, buffer, bytes, offset);
  return got < 0 ? -errno : static_cast<int>(got);
}

int Write(const char*, const char* buffer, size_t bytes, off_t offset, fuse_file_info*) {
  const ssize_t put = ::pwrite(disk.image, buffer, bytes, offset);
  if (put < 0) return -errno;
  if (!Note(Kind::kWrite, buffer, static_cast<uint64_t>(put), static_cast<uint64_t>(offset))) return -EIO;
  return static_cast<int>(put);
}

int Flush(const char*, int, fuse_file_info*) {
  return Note(Kind::kFlush, nullptr, 0, 0) ? 0 : -EIO;
}

int Main(int count, char** words) {
  if (count != 4) {
    std::fprintf(stderr, "usage: logged_disk IMAGE LOG MOUNT-POINT\n");
    return 1;
  }
  disk.image = ::open(words[1], O_RDWR | O_CLOEXEC);
  disk.log = ::open(words[2], O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
  if (disk.image < 0 || disk.log < 0) {
    std::perror("logged_disk");
    return 1;
  }
  fuse_operations operations{};
  operations.getattr = GetAttributes;
  operations.readdir = List;
  operations.open = Open;
  operations.read = Read;
  operations.write = Write;
  operations.fsync = Flush;
  std::string foreground = "-f";
  std::string single = "-s";
  char* arguments[] = {words[0], foreground.data(), single.data(), words[3]};
  return fuse_main(4, arguments, &operations, nullptr);
}

}  // namespace
}  // namespace uringsync::logged_disk

int main(int count, char** words) {
  return uringsync::logged_disk::Main(count, words);
}
