#include "engine/fs/fake_super.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "engine/fs/fake_acl.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

constexpr std::string_view kPrefix = "user.rsync.";
constexpr char kStatName[] = "user.rsync.%stat";
constexpr char kAccessStore[] = "user.rsync.%aacl";
constexpr char kDefaultStore[] = "user.rsync.%dacl";
constexpr std::string_view kAccessName = "system.posix_acl_access";
constexpr std::string_view kDefaultName = "system.posix_acl_default";
constexpr size_t kMaxValueBytes = 64 << 10;
constexpr uint32_t kPermissions = 0777;
constexpr uint32_t kModeBits = 07777;
// What a file that stands for a symlink can be opened with; what the link shows is in the attribute.
constexpr uint32_t kLinkFileMode = 0644;

// struct xattr_args of the *xattrat system calls.
struct XattrArguments {
  uint64_t value;
  uint32_t size;
  uint32_t flags;
};

// What an object passes for.
struct Shown {
  uint32_t mode = 0;  // type included
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// An object by a path of this process; descriptors by their magic links.
struct Where {
  std::string path;
  bool follow = false;
};

Where OfFd(long fd) {
  return {"/proc/self/fd/" + std::to_string(fd), true};
}

Where Of(long dirfd, long name, long flags) {
  const char* text = reinterpret_cast<const char*>(name);
  if (text == nullptr || *text == '\0') return OfFd(dirfd);
  const bool follow = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  if (dirfd == AT_FDCWD || *text == '/') return {text, follow};
  return {"/proc/self/fd/" + std::to_string(dirfd) + "/" + text, follow};
}

Where OfPath(long path, bool follow) {
  return {reinterpret_cast<const char*>(path), follow};
}

// Permissions that the file system gets.
uint32_t RealPermissions(uint32_t mode, bool directory) {
  return (mode & kPermissions) | (directory ? 0700 : 0600);
}

// O_TMPFILE has the bit of O_DIRECTORY.
bool Creates(long flags) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

bool IsDeviceMode(uint32_t mode) {
  return S_ISBLK(mode) || S_ISCHR(mode);
}

// The name under which `name` is kept; empty: not at all.
std::string StoredName(std::string_view name) {
  if (name == kAccessName) return kAccessStore;
  if (name == kDefaultName) return kDefaultStore;
  if (name.starts_with(kPrefix)) return {};
  return name.starts_with("user.") ? std::string(name) : std::string(kPrefix) + std::string(name);
}

// What only a privileged process may have set for real; shown where nothing is kept in its place.
bool IsPrivileged(std::string_view name) {
  return name.starts_with("security.") || name.starts_with("trusted.");
}

std::string ShownName(std::string_view stored) {
  if (stored == kAccessStore) return std::string(kAccessName);
  if (stored == kDefaultStore) return std::string(kDefaultName);
  if (IsPrivileged(stored)) return std::string(stored);
  if (!stored.starts_with("user.")) return {};
  if (!stored.starts_with(kPrefix)) return std::string(stored);
  const std::string_view name = stored.substr(kPrefix.size());
  return name.starts_with('%') ? std::string() : std::string(name);
}

// As the kernel gives values: a size of 0 asks for the length.
long Give(std::string_view value, void* buffer, size_t bytes) {
  if (bytes == 0) return static_cast<long>(value.size());
  if (value.size() > bytes) return -ERANGE;
  std::memcpy(buffer, value.data(), value.size());
  return static_cast<long>(value.size());
}

class FakeSuperDriver final : public Driver {
 public:
  explicit FakeSuperDriver(std::unique_ptr<Driver> inner) : inner_(std::move(inner)) {}
  std::string_view name() const override { return inner_->name(); }
  void Submit(Op* op) override { inner_->Submit(op); }
  void Cancel(Op* op) override { inner_->Cancel(op); }
  int Poll(std::chrono::nanoseconds max_wait) override { return inner_->Poll(max_wait); }
  void Wake() override { inner_->Wake(); }
  absl::Status RegisterBuffer(int index, void* base, size_t bytes) override {
    return inner_->RegisterBuffer(index, base, bytes);
  }
  const DriverCounters& counters() const override { return inner_->counters(); }
  size_t in_flight() const override { return inner_->in_flight(); }

  long Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) override {
    switch (code) {
      case CallCode::kStatx: return Stat(a0, a1, a2, a3, reinterpret_cast<struct statx*>(a4));
      case CallCode::kOpenat: return inner_->Call(code, a0, a1, a2, Creates(a2) ? a3 | 0600 : a3);
      case CallCode::kOpenat2: return Open(a0, a1, reinterpret_cast<const open_how*>(a2), a3);
      case CallCode::kMkdirat: return inner_->Call(code, a0, a1, a2 | 0700);
      case CallCode::kSymlinkat: return Make(a1, a2, S_IFLNK | kPermissions, 0, reinterpret_cast<const char*>(a0));
      case CallCode::kMknodat: return Make(a0, a1, static_cast<uint32_t>(a2), static_cast<dev_t>(a3), "");
      case CallCode::kReadlinkat: return ReadLink(a0, a1, a2, a3);
      case CallCode::kFchownat: return Own(Of(a0, a1, a4), a2, a3);
      case CallCode::kFchmod: return ChangeMode(OfFd(a0), static_cast<uint32_t>(a1));
      case CallCode::kFchmodat: return ChangeMode(Of(a0, a1, 0), static_cast<uint32_t>(a2));
      default: return CallXattr(code, a0, a1, a2, a3, a4, a5);
    }
  }

 private:
  long CallXattr(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) {
    switch (code) {
      case CallCode::kGetxattr:
      case CallCode::kLgetxattr: return Get(OfPath(a0, code == CallCode::kGetxattr), a1, a2, a3);
      case CallCode::kFgetxattr: return Get(OfFd(a0), a1, a2, a3);
      case CallCode::kListxattr:
      case CallCode::kLlistxattr: return List(OfPath(a0, code == CallCode::kListxattr), a1, a2);
      case CallCode::kFlistxattr: return List(OfFd(a0), a1, a2);
      case CallCode::kSetxattr:
      case CallCode::kLsetxattr: return Set(OfPath(a0, code == CallCode::kSetxattr), a1, a2, a3);
      case CallCode::kFsetxattr: return Set(OfFd(a0), a1, a2, a3);
      case CallCode::kRemovexattr:
      case CallCode::kLremovexattr: return Remove(OfPath(a0, code == CallCode::kRemovexattr), a1);
      case CallCode::kFremovexattr: return Remove(OfFd(a0), a1);
      case CallCode::kListxattrat: return List(Of(a0, a1, a2), a3, a4);
      case CallCode::kRemovexattrat: return Remove(Of(a0, a1, a2), a3);
      case CallCode::kGetxattrat: {
        const auto* arguments = reinterpret_cast<const XattrArguments*>(a4);
        return Get(Of(a0, a1, a2), a3, static_cast<long>(arguments->value), arguments->size);
      }
      case CallCode::kSetxattrat: {
        const auto* arguments = reinterpret_cast<const XattrArguments*>(a4);
        return Set(Of(a0, a1, a2), a3, static_cast<long>(arguments->value), arguments->size);
      }
      default: return inner_->Call(code, a0, a1, a2, a3, a4, a5);
    }
  }

  // Attributes as the file system has them.
  long GetStored(const Where& where, const char* name, char* buffer, size_t bytes) {
    return inner_->Call(where.follow ? CallCode::kGetxattr : CallCode::kLgetxattr, sys::Arg(where.path.c_str()),
                        sys::Arg(name), sys::Arg(buffer), static_cast<long>(bytes));
  }
  long SetStored(const Where& where, const char* name, std::string_view value) {
    const auto set = [&] {
      return inner_->Call(where.follow ? CallCode::kSetxattr : CallCode::kLsetxattr, sys::Arg(where.path.c_str()),
                          sys::Arg(name), sys::Arg(value.data()), static_cast<long>(value.size()));
    };
    const long result = set();
    return result == -EACCES && MakeWritable(where) ? set() : result;
  }
  long RemoveStored(const Where& where, const char* name) {
    const auto remove = [&] {
      return inner_->Call(where.follow ? CallCode::kRemovexattr : CallCode::kLremovexattr, sys::Arg(where.path.c_str()),
                          sys::Arg(name));
    };
    const long result = remove();
    return result == -EACCES && MakeWritable(where) ? remove() : result;
  }
  // Attributes of an object may be written by who may write into it: its owner gets what they lack for that, and it
  // passes for what it was. False: that is not what was missing.
  bool MakeWritable(const Where& where) {
    if (!where.follow) {
      // The name may be another object's by now, or a symlink: chmod follows.
      const long fd =
          inner_->Call(CallCode::kOpenat, AT_FDCWD, sys::Arg(where.path.c_str()), O_PATH | O_NOFOLLOW | O_CLOEXEC);
      if (fd < 0) return false;
      const bool made = MakeWritable(OfFd(fd));
      inner_->Call(CallCode::kClose, fd);
      return made;
    }
    Shown shown;
    struct statx real{};
    if (Look(where, &shown, &real) < 0 || !(S_ISREG(real.stx_mode) || S_ISDIR(real.stx_mode))) return false;
    const uint32_t permissions = RealPermissions(real.stx_mode, S_ISDIR(real.stx_mode));
    if ((real.stx_mode & kPermissions) == permissions) return false;
    if (sys::Fchmodat(inner_.get(), AT_FDCWD, where.path.c_str(), permissions) < 0) return false;
    return Keep(where, shown) >= 0;
  }
  long RealStat(const Where& where, struct statx* stat) {
    return sys::Statx(inner_.get(), AT_FDCWD, where.path.c_str(), where.follow ? 0 : AT_SYMLINK_NOFOLLOW,
                      STATX_BASIC_STATS, stat);
  }

  // What the attribute says of an object that the file system calls `real`; nullopt: nothing that could be of it.
  std::optional<Shown> StoredStat(const Where& where, uint32_t real) {
    if (!S_ISREG(real) && !S_ISDIR(real)) return std::nullopt;
    char text[256];
    const long bytes = GetStored(where, kStatName, text, sizeof(text) - 1);
    if (bytes <= 0) return std::nullopt;
    text[bytes] = '\0';
    Shown shown;
    if (std::sscanf(text, "%o %u,%u %u:%u", &shown.mode, &shown.major, &shown.minor, &shown.uid, &shown.gid) != 5)
      return std::nullopt;
    const bool known = S_ISREG(shown.mode) || S_ISLNK(shown.mode) || S_ISFIFO(shown.mode) || S_ISSOCK(shown.mode) ||
                       IsDeviceMode(shown.mode);
    return S_ISDIR(real) ? (S_ISDIR(shown.mode) ? std::optional(shown) : std::nullopt)
           : known       ? std::optional(shown)
                         : std::nullopt;
  }

  long Stat(long dirfd, long name, long flags, long mask, struct statx* out) {
    const long result = inner_->Call(CallCode::kStatx, dirfd, name, flags, mask | STATX_TYPE, sys::Arg(out));
    if (result < 0) return result;
    const std::optional<Shown> shown = StoredStat(Of(dirfd, name, flags), out->stx_mode);
    if (!shown) return result;
    out->stx_mode = static_cast<decltype(out->stx_mode)>(shown->mode);
    out->stx_uid = shown->uid;
    out->stx_gid = shown->gid;
    out->stx_rdev_major = shown->major;
    out->stx_rdev_minor = shown->minor;
    return result;
  }

  // What `where` passes for, and what it is.
  long Look(const Where& where, Shown* shown, struct statx* real) {
    const long result = RealStat(where, real);
    if (result < 0) return result;
    *shown = StoredStat(where, real->stx_mode).value_or(Shown{real->stx_mode, 0, 0, real->stx_uid, real->stx_gid});
    return 0;
  }

  // The attribute goes where the file system says the same.
  long Keep(const Where& where, const Shown& shown) {
    struct statx real{};
    const long result = RealStat(where, &real);
    if (result < 0) return result;
    const bool plain = real.stx_mode == shown.mode && real.stx_uid == shown.uid && real.stx_gid == shown.gid &&
                       !IsDeviceMode(shown.mode);
    if (plain) {
      if (GetStored(where, kStatName, nullptr, 0) == -ENODATA) return 0;
      const long removed = RemoveStored(where, kStatName);
      return removed == -ENODATA || removed == -EOPNOTSUPP ? 0 : removed;
    }
    char text[96];
    const int bytes =
        std::snprintf(text, sizeof(text), "%o %u,%u %u:%u", shown.mode, shown.major, shown.minor, shown.uid, shown.gid);
    return SetStored(where, kStatName, std::string_view(text, static_cast<size_t>(bytes)));
  }

  long Own(const Where& where, long uid, long gid) {
    Shown shown;
    struct statx real{};
    const long result = Look(where, &shown, &real);
    if (result < 0) return result;
    if (static_cast<uint32_t>(uid) != static_cast<uint32_t>(-1)) shown.uid = static_cast<uint32_t>(uid);
    if (static_cast<uint32_t>(gid) != static_cast<uint32_t>(-1)) shown.gid = static_cast<uint32_t>(gid);
    return Keep(where, shown);
  }

  long ChangeMode(const Where& where, uint32_t mode) {
    Shown shown;
    struct statx real{};
    long result = Look(where, &shown, &real);
    if (result < 0) return result;
    shown.mode = (shown.mode & S_IFMT) | (mode & kModeBits);
    const uint32_t permissions = S_ISLNK(shown.mode) ? kLinkFileMode : RealPermissions(mode, S_ISDIR(real.stx_mode));
    if ((real.stx_mode & kModeBits) != permissions)
      result = sys::Fchmodat(inner_.get(), AT_FDCWD, where.path.c_str(), permissions);
    return result < 0 ? result : Keep(where, shown);
  }

  long Open(long dirfd, long path, const open_how* how, long bytes) {
    open_how changed = *how;
    if (Creates(static_cast<long>(changed.flags))) changed.mode |= 0600;
    return inner_->Call(CallCode::kOpenat2, dirfd, path, sys::Arg(&changed), bytes);
  }

  // A file that passes for an object of another type, with `contents`.
  long Make(long dirfd, long name, uint32_t mode, dev_t device, std::string_view contents) {
    const long fd = inner_->Call(CallCode::kOpenat, dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                 S_ISLNK(mode) ? kLinkFileMode : RealPermissions(mode, false));
    if (fd < 0) return fd;
    long result =
        contents.empty() ? 0 : sys::Pwrite(inner_.get(), static_cast<int>(fd), contents.data(), contents.size(), 0);
    if (result >= 0 && static_cast<size_t>(result) < contents.size()) result = -ENOSPC;
    struct statx real{};
    if (result >= 0) result = RealStat(OfFd(fd), &real);
    const bool is_device = IsDeviceMode(mode);
    if (result >= 0) {
      result = Keep(OfFd(fd),
                    {mode, is_device ? major(device) : 0, is_device ? minor(device) : 0, real.stx_uid, real.stx_gid});
    }
    inner_->Call(CallCode::kClose, fd);
    if (result < 0) inner_->Call(CallCode::kUnlinkat, dirfd, name, 0);
    return std::min<long>(result, 0);
  }

  long ReadLink(long dirfd, long name, long buffer, long bytes) {
    const Where where = Of(dirfd, name, AT_SYMLINK_NOFOLLOW);
    struct statx real{};
    const long result = RealStat(where, &real);
    if (result < 0) return result;
    if (S_ISLNK(real.stx_mode)) return inner_->Call(CallCode::kReadlinkat, dirfd, name, buffer, bytes);
    const std::optional<Shown> shown = StoredStat(where, real.stx_mode);
    if (!shown || !S_ISLNK(shown->mode)) return -EINVAL;
    const long fd = inner_->Call(CallCode::kOpenat, AT_FDCWD, sys::Arg(where.path.c_str()),
                                 O_RDONLY | O_CLOEXEC | O_NONBLOCK | (where.follow ? 0 : O_NOFOLLOW));
    if (fd < 0) return fd;
    const long got =
        sys::Pread(inner_.get(), static_cast<int>(fd), reinterpret_cast<void*>(buffer), static_cast<size_t>(bytes), 0);
    inner_->Call(CallCode::kClose, fd);
    return got;
  }

  long Get(const Where& where, long name_argument, long buffer, long bytes) {
    const std::string_view name = reinterpret_cast<const char*>(name_argument);
    const std::string stored = StoredName(name);
    if (stored.empty()) return -ENODATA;
    const bool acl = name == kAccessName || name == kDefaultName;
    if (!acl) {
      char* const into = reinterpret_cast<char*>(buffer);
      const long kept = GetStored(where, stored.c_str(), into, static_cast<size_t>(bytes));
      if (kept != -ENODATA || !IsPrivileged(name)) return kept;
      return GetStored(where, std::string(name).c_str(), into, static_cast<size_t>(bytes));
    }
    std::string value(kMaxValueBytes, '\0');
    const long got = GetStored(where, stored.c_str(), value.data(), value.size());
    if (got < 0) return got;
    Shown shown;
    struct statx real{};
    const long looked = Look(where, &shown, &real);
    if (looked < 0) return looked;
    const AclKind kind = name == kAccessName ? AclKind::kAccess : AclKind::kDefault;
    const std::optional<std::string> unpacked =
        UnpackAcl(std::string_view(value).substr(0, static_cast<size_t>(got)), kind, shown.mode);
    return unpacked ? Give(*unpacked, reinterpret_cast<void*>(buffer), static_cast<size_t>(bytes)) : -ENODATA;
  }

  long List(const Where& where, long buffer, long bytes) {
    std::string stored(kMaxValueBytes, '\0');
    const long got =
        inner_->Call(where.follow ? CallCode::kListxattr : CallCode::kLlistxattr, sys::Arg(where.path.c_str()),
                     sys::Arg(stored.data()), static_cast<long>(stored.size()));
    if (got < 0) return got;
    stored.resize(static_cast<size_t>(got));
    std::set<std::string> names;
    for (size_t begin = 0; begin < stored.size();) {
      const size_t end = std::min(stored.find('\0', begin), stored.size());
      const std::string name = ShownName(std::string_view(stored).substr(begin, end - begin));
      if (!name.empty()) names.insert(name);
      begin = end + 1;
    }
    std::string listed;
    for (const std::string& name : names) listed.append(name).push_back('\0');
    return Give(listed, reinterpret_cast<void*>(buffer), static_cast<size_t>(bytes));
  }

  long Set(const Where& where, long name_argument, long value, long bytes) {
    const std::string_view name = reinterpret_cast<const char*>(name_argument);
    const std::string stored = StoredName(name);
    if (stored.empty()) return -EPERM;
    const std::string_view text(reinterpret_cast<const char*>(value), static_cast<size_t>(bytes));
    if (name != kAccessName && name != kDefaultName) return SetStored(where, stored.c_str(), text);
    const std::optional<std::string> packed = PackAcl(text, name == kAccessName ? AclKind::kAccess : AclKind::kDefault);
    return packed ? SetStored(where, stored.c_str(), *packed) : -EINVAL;
  }

  long Remove(const Where& where, long name_argument) {
    const std::string name = reinterpret_cast<const char*>(name_argument);
    const std::string stored = StoredName(name);
    if (stored.empty()) return -ENODATA;
    const long kept = RemoveStored(where, stored.c_str());
    if (!IsPrivileged(name) || (kept < 0 && kept != -ENODATA)) return kept;
    // A real one would show through. Who may not remove it leaves it, as rsync does.
    const long real = RemoveStored(where, name.c_str());
    if (real == -EPERM || real == -EACCES) return 0;
    return real == -ENODATA ? kept : real;
  }

  const std::unique_ptr<Driver> inner_;
};

}  // namespace

std::unique_ptr<Driver> FakeSuper(std::unique_ptr<Driver> driver) {
  return std::make_unique<FakeSuperDriver>(std::move(driver));
}

}  // namespace uringsync
