// poor_fs: a FUSE file system for tests that passes everything on to a backing directory, but for what its rules refuse
// or let fail (call_rules.h). Files without a name (O_TMPFILE) and clones it has none, as libfuse knows neither.
//
//   poor_fs [--refuse NAME]... [--direct] BACKING MOUNT-POINT
//
// It stays in the foreground until it is unmounted. Its root has a file that no listing shows, kControlName: what is
// written into it, a line each, are rules; what is read from it are the counts.
#define FUSE_USE_VERSION 31
#include <dirent.h>
#include <fcntl.h>
#include <fuse.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/poor_fs/call_rules.h"

namespace uringsync::poor_fs {
namespace {

constexpr char kControlPath[] = "/.poor_fs";
constexpr uint64_t kControlHandle = ~uint64_t{0};

// One mount a process: libfuse has no other way to reach it from a path that may be null.
struct Mount {
  CallRules rules;
  std::string backing;
  bool direct = false;  // reads and writes pass the kernel's cache
};
Mount* mount = nullptr;

std::string Real(const char* path) {
  return mount->backing + path;
}

int Result(long result) {
  return result < 0 ? -errno : static_cast<int>(result);
}

bool IsControl(const char* path) {
  return path != nullptr && std::strcmp(path, kControlPath) == 0;
}

// The errno, negative, of what the rules say to `call`, or the call's own result.
template <typename Make>
int Pass(const char* call, Make make) {
  const int error = mount->rules.Failure(call);
  return error != 0 ? -error : Result(make());
}

template <typename Make>
int PassUnlessRefused(const char* name, const char* call, Make make) {
  const int refused = mount->rules.Refusal(name);
  return refused != 0 ? -refused : Pass(call, make);
}

int Descriptor(const fuse_file_info* info) {
  return static_cast<int>(info->fh);
}

int GetAttributes(const char* path, struct stat* out, fuse_file_info* info) {
  if (IsControl(path)) {
    *out = {};
    out->st_mode = S_IFREG | 0600;
    out->st_nlink = 1;
    return 0;
  }
  return Pass("getattr", [&] {
    return info != nullptr ? ::fstat(Descriptor(info), out) : ::lstat(Real(path).c_str(), out);
  });
}

int ReadLink(const char* path, char* buffer, size_t bytes) {
  const int error = mount->rules.Failure("readlink");
  if (error != 0) return -error;
  const ssize_t got = ::readlink(Real(path).c_str(), buffer, bytes - 1);
  if (got < 0) return -errno;
  buffer[got] = '\0';
  return 0;
}

int MakeNode(const char* path, mode_t mode, dev_t device) {
  return PassUnlessRefused("special", "mknod", [&] { return ::mknod(Real(path).c_str(), mode, device); });
}
int MakeDirectory(const char* path, mode_t mode) {
  return Pass("mkdir", [&] { return ::mkdir(Real(path).c_str(), mode); });
}
int Unlink(const char* path) {
  return Pass("unlink", [&] { return ::unlink(Real(path).c_str()); });
}
int RemoveDirectory(const char* path) {
  return Pass("rmdir", [&] { return ::rmdir(Real(path).c_str()); });
}
int MakeSymlink(const char* target, const char* path) {
  return PassUnlessRefused("symlink", "symlink", [&] { return ::symlink(target, Real(path).c_str()); });
}
int Link(const char* from, const char* to) {
  return PassUnlessRefused("link", "link", [&] {
    return ::linkat(AT_FDCWD, Real(from).c_str(), AT_FDCWD, Real(to).c_str(), 0);
  });
}

int Rename(const char* from, const char* to, unsigned flags) {
  const auto make = [&] { return ::renameat2(AT_FDCWD, Real(from).c_str(), AT_FDCWD, Real(to).c_str(), flags); };
  if ((flags & RENAME_EXCHANGE) != 0) return PassUnlessRefused("exchange", "rename", make);
  if ((flags & RENAME_NOREPLACE) != 0) return PassUnlessRefused("noreplace", "rename", make);
  return Pass("rename", make);
}

int ChangeMode(const char* path, mode_t mode, fuse_file_info* info) {
  return Pass("chmod", [&] {
    return info != nullptr ? ::fchmod(Descriptor(info), mode) : ::chmod(Real(path).c_str(), mode);
  });
}
int ChangeOwner(const char* path, uid_t uid, gid_t gid, fuse_file_info* info) {
  return PassUnlessRefused("chown", "chown", [&] {
    return info != nullptr ? ::fchown(Descriptor(info), uid, gid) : ::lchown(Real(path).c_str(), uid, gid);
  });
}
int Truncate(const char* path, off_t size, fuse_file_info* info) {
  return Pass("truncate", [&] {
    return info != nullptr ? ::ftruncate(Descriptor(info), size) : ::truncate(Real(path).c_str(), size);
  });
}
int ChangeTimes(const char* path, const timespec times[2], fuse_file_info* info) {
  return Pass("utimens", [&] {
    return info != nullptr ? ::futimens(Descriptor(info), times)
                           : ::utimensat(AT_FDCWD, Real(path).c_str(), times, AT_SYMLINK_NOFOLLOW);
  });
}

int Keep(int opened, fuse_file_info* info) {
  if (opened < 0) return opened;
  info->fh = static_cast<uint64_t>(opened);
  info->direct_io = mount->direct ? 1 : 0;
  return 0;
}
int Open(const char* path, fuse_file_info* info) {
  if (IsControl(path)) {
    info->fh = kControlHandle;
    info->direct_io = 1;
    return 0;
  }
  // The kernel has seen to what O_DIRECT and O_APPEND mean.
  const int flags = (info->flags & ~(O_DIRECT | O_APPEND)) | O_CLOEXEC;
  return Keep(Pass("open", [&] { return ::open(Real(path).c_str(), flags); }), info);
}
int Create(const char* path, mode_t mode, fuse_file_info* info) {
  const int flags = (info->flags & ~(O_DIRECT | O_APPEND)) | O_CLOEXEC;
  return Keep(Pass("create", [&] { return ::open(Real(path).c_str(), flags, mode); }), info);
}

int ReadControl(char* buffer, size_t bytes, off_t offset) {
  const std::string counts = mount->rules.Counts();
  if (static_cast<size_t>(offset) >= counts.size()) return 0;
  const size_t part = std::min(bytes, counts.size() - static_cast<size_t>(offset));
  std::memcpy(buffer, counts.data() + offset, part);
  return static_cast<int>(part);
}
int WriteControl(std::string_view text) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (!mount->rules.Add(text.substr(begin, end - begin))) return -EINVAL;
    begin = end + 1;
  }
  return static_cast<int>(text.size());
}

int Read(const char*, char* buffer, size_t bytes, off_t offset, fuse_file_info* info) {
  if (info->fh == kControlHandle) return ReadControl(buffer, bytes, offset);
  const int error = mount->rules.Transfer("read", &bytes);
  return error != 0 ? -error : Result(::pread(Descriptor(info), buffer, bytes, offset));
}
int Write(const char*, const char* buffer, size_t bytes, off_t offset, fuse_file_info* info) {
  if (info->fh == kControlHandle) return WriteControl({buffer, bytes});
  const int error = mount->rules.Transfer("write", &bytes);
  return error != 0 ? -error : Result(::pwrite(Descriptor(info), buffer, bytes, offset));
}

int StatFileSystem(const char*, struct statvfs* out) {
  return Pass("statfs", [&] { return ::statvfs(mount->backing.c_str(), out); });
}
int Flush(const char*, fuse_file_info* info) {
  if (info->fh == kControlHandle) return 0;
  return Pass("flush", [&] { return 0; });
}
int Release(const char*, fuse_file_info* info) {
  if (info->fh != kControlHandle) ::close(Descriptor(info));
  return 0;
}
int Sync(const char*, int data_only, fuse_file_info* info) {
  return Pass("fsync", [&] { return data_only != 0 ? ::fdatasync(Descriptor(info)) : ::fsync(Descriptor(info)); });
}

int SetAttribute(const char* path, const char* name, const char* value, size_t bytes, int flags) {
  return PassUnlessRefused("xattr", "setxattr",
                           [&] { return ::lsetxattr(Real(path).c_str(), name, value, bytes, flags); });
}
int GetAttribute(const char* path, const char* name, char* value, size_t bytes) {
  // The kernel's own question before each write and change of owner.
  if (std::strcmp(name, "security.capability") == 0 && mount->rules.Refuses("xattr")) return -EOPNOTSUPP;
  return PassUnlessRefused("xattr", "getxattr", [&] { return ::lgetxattr(Real(path).c_str(), name, value, bytes); });
}
int ListAttributes(const char* path, char* list, size_t bytes) {
  return PassUnlessRefused("xattr", "listxattr", [&] { return ::llistxattr(Real(path).c_str(), list, bytes); });
}
int RemoveAttribute(const char* path, const char* name) {
  return PassUnlessRefused("xattr", "removexattr", [&] { return ::lremovexattr(Real(path).c_str(), name); });
}

DIR* DirectoryOf(const fuse_file_info* info) {
  return reinterpret_cast<DIR*>(info->fh);
}
int OpenDirectory(const char* path, fuse_file_info* info) {
  const int error = mount->rules.Failure("opendir");
  if (error != 0) return -error;
  DIR* const opened = ::opendir(Real(path).c_str());
  if (opened == nullptr) return -errno;
  info->fh = reinterpret_cast<uint64_t>(opened);
  return 0;
}
int ReadDirectory(const char*, void* buffer, fuse_fill_dir_t fill, off_t offset, fuse_file_info* info,
                  fuse_readdir_flags) {
  const int error = mount->rules.Failure("readdir");
  if (error != 0) return -error;
  DIR* const directory = DirectoryOf(info);
  ::seekdir(directory, offset);
  while (true) {
    errno = 0;
    const dirent* const entry = ::readdir(directory);
    if (entry == nullptr) return -errno;
    struct stat stat {};
    stat.st_ino = entry->d_ino;
    stat.st_mode = static_cast<mode_t>(entry->d_type) << 12;
    if (fill(buffer, entry->d_name, &stat, ::telldir(directory), fuse_fill_dir_flags(0)) != 0) return 0;
  }
}
int ReleaseDirectory(const char*, fuse_file_info* info) {
  ::closedir(DirectoryOf(info));
  return 0;
}
int SyncDirectory(const char*, int, fuse_file_info* info) {
  return PassUnlessRefused("fsyncdir", "fsyncdir", [&] { return ::fsync(::dirfd(DirectoryOf(info))); });
}

int Allocate(const char*, int mode, off_t offset, off_t length, fuse_file_info* info) {
  return PassUnlessRefused("fallocate", "fallocate",
                           [&] { return ::fallocate(Descriptor(info), mode, offset, length); });
}
ssize_t CopyRange(const char*, fuse_file_info* in, off_t from, const char*, fuse_file_info* out, off_t to, size_t bytes,
                  int flags) {
  const int refused = mount->rules.Refusal("copy");
  if (refused != 0) return -refused;
  const int error = mount->rules.Transfer("copy", &bytes);
  if (error != 0) return -error;
  const ssize_t copied = ::copy_file_range(Descriptor(in), &from, Descriptor(out), &to, bytes, flags);
  return copied < 0 ? -errno : copied;
}
off_t Seek(const char*, off_t offset, int whence, fuse_file_info* info) {
  const int refused = mount->rules.Refusal("holes");
  if (refused != 0) return -refused;
  const int error = mount->rules.Failure("lseek");
  if (error != 0) return -error;
  const off_t found = ::lseek(Descriptor(info), offset, whence);
  return found < 0 ? -errno : found;
}

void* Begin(fuse_conn_info*, fuse_config* config) {
  config->use_ino = 1;
  config->hard_remove = 1;
  config->nullpath_ok = 1;
  // What another name of an inode, or the backing directory, has become shows at once.
  config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
  ::umask(0);
  return nullptr;
}

fuse_operations Operations() {
  fuse_operations operations{};
  operations.init = Begin;
  operations.getattr = GetAttributes;
  operations.readlink = ReadLink;
  operations.mknod = MakeNode;
  operations.mkdir = MakeDirectory;
  operations.unlink = Unlink;
  operations.rmdir = RemoveDirectory;
  operations.symlink = MakeSymlink;
  operations.rename = Rename;
  operations.link = Link;
  operations.chmod = ChangeMode;
  operations.chown = ChangeOwner;
  operations.truncate = Truncate;
  operations.utimens = ChangeTimes;
  operations.open = Open;
  operations.create = Create;
  operations.read = Read;
  operations.write = Write;
  operations.statfs = StatFileSystem;
  operations.flush = Flush;
  operations.release = Release;
  operations.fsync = Sync;
  operations.setxattr = SetAttribute;
  operations.getxattr = GetAttribute;
  operations.listxattr = ListAttributes;
  operations.removexattr = RemoveAttribute;
  operations.opendir = OpenDirectory;
  operations.readdir = ReadDirectory;
  operations.releasedir = ReleaseDirectory;
  operations.fsyncdir = SyncDirectory;
  operations.fallocate = Allocate;
  operations.copy_file_range = CopyRange;
  operations.lseek = Seek;
  return operations;
}

int Main(int count, char** words) {
  Mount only;
  mount = &only;
  std::vector<std::string> places;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--direct") {
      only.direct = true;
    } else if (word == "--refuse" && i + 1 < count && only.rules.Add(std::string("refuse ") + words[i + 1])) {
      ++i;
    } else if (word.starts_with("-")) {
      std::fprintf(stderr, "poor_fs: cannot make sense of %s\n", word.c_str());
      return 1;
    } else {
      places.push_back(word);
    }
  }
  char* const backing = places.size() == 2 ? ::realpath(places[0].c_str(), nullptr) : nullptr;
  if (backing == nullptr) {
    std::fprintf(stderr, "usage: poor_fs [--refuse NAME]... [--direct] BACKING MOUNT-POINT\n");
    return 1;
  }
  only.backing = backing;
  std::free(backing);
  std::string point = places[1];
  std::string program = words[0];
  std::string foreground = "-f";
  std::string option = "-o";
  std::string options = "fsname=poor_fs,default_permissions,allow_other";
  char* arguments[] = {program.data(), foreground.data(), option.data(), options.data(), point.data()};
  const fuse_operations operations = Operations();
  return fuse_main(5, arguments, &operations, nullptr);
}

}  // namespace
}  // namespace uringsync::poor_fs

int main(int count, char** words) {
  return uringsync::poor_fs::Main(count, words);
}
