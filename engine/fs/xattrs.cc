#include "engine/fs/xattrs.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/errno_status.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// Argument of getxattrat and setxattrat (linux/xattr.h of 6.13, newer than this build's headers).
struct XattrArguments {
  uint64_t value;
  uint32_t size;
  uint32_t flags;
};

constexpr size_t kFirstListBytes = 1024;
constexpr size_t kFirstValueBytes = 4096;
constexpr size_t kMaxListBytes = 65536;   // XATTR_LIST_MAX
constexpr size_t kMaxValueBytes = 65536;  // XATTR_SIZE_MAX

bool IsAcl(std::string_view name) {
  return name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

// xfs lists its ACLs a second time, in its own form, to whoever may see trusted.*: the POSIX form carries them.
bool IsAclOfXfs(std::string_view name) {
  return name == "trusted.SGI_ACL_FILE" || name == "trusted.SGI_ACL_DEFAULT";
}

}  // namespace

XattrClass ClassifyXattr(std::string_view name, const MetadataSelection& selection) {
  for (const std::string& extra : selection.extra_xattrs) {
    if (name == extra) return XattrClass::kOrdinary;
  }
  if (IsAcl(name)) return selection.acls ? XattrClass::kOrdinary : XattrClass::kNotSelected;
  if (name == "security.selinux") return selection.selinux ? XattrClass::kOrdinary : XattrClass::kNotSelected;
  if (!selection.xattrs) return XattrClass::kNotSelected;
  if (name.starts_with("user.")) return XattrClass::kOrdinary;
  if (name == "security.capability") return XattrClass::kCapability;
  if (name == "security.evm" || name == "trusted.lov") return XattrClass::kNotSelected;
  if (IsAclOfXfs(name)) return XattrClass::kNotSelected;
  if (name.starts_with("security.") || name.starts_with("trusted.")) return XattrClass::kTrusted;
  return XattrClass::kNotSelected;  // system.*, lustre.*, btrfs.*, ...: they mean something to one file system only
}

bool SelectsXattrs(const MetadataSelection& selection) {
  return selection.xattrs || selection.acls || selection.selinux || !selection.extra_xattrs.empty();
}

XattrDigests DigestXattrs(const XattrList& xattrs, const MetadataSelection& selection) {
  XattrDigests digests;
  if (xattrs.empty()) return digests;
  XattrList of_class;
  const auto digest = [&](XattrClass wanted) {
    of_class.clear();
    for (const Xattr& xattr : xattrs) {
      if (ClassifyXattr(xattr.name, selection) == wanted) of_class.push_back(xattr);
    }
    return XattrDigest(of_class, selection.digest_key);
  };
  digests.ordinary = digest(XattrClass::kOrdinary);
  digests.capability = digest(XattrClass::kCapability);
  digests.trusted = digest(XattrClass::kTrusted);
  return digests;
}

std::string XattrAccess::ProcPath(ObjectHandle object) const {
  return "/proc/self/fd/" + std::to_string(object.dirfd) + "/" + object.name;
}

long XattrAccess::List(ObjectHandle object, char* buffer, size_t bytes) {
  if (object.path_only) {
    const std::string link = object.MagicLink();
    return driver_->Call(CallCode::kListxattr, sys::Arg(link.c_str()), sys::Arg(buffer), static_cast<long>(bytes));
  }
  if (object.is_fd())
    return driver_->Call(CallCode::kFlistxattr, object.fd, sys::Arg(buffer), static_cast<long>(bytes));
  if (has_xattrat_) {
    const long result = driver_->Call(CallCode::kListxattrat, object.dirfd, sys::Arg(object.name), AT_SYMLINK_NOFOLLOW,
                                      sys::Arg(buffer), static_cast<long>(bytes));
    // EPERM is no answer of listxattr(2): it is a seccomp profile that does not know the call.
    if (result != -ENOSYS && result != -EPERM) return result;
    has_xattrat_ = false;
  }
  const std::string path = ProcPath(object);
  return driver_->Call(CallCode::kLlistxattr, sys::Arg(path.c_str()), sys::Arg(buffer), static_cast<long>(bytes));
}

long XattrAccess::Get(ObjectHandle object, const char* name, void* buffer, size_t bytes) {
  if (object.path_only) {
    const std::string link = object.MagicLink();
    return driver_->Call(CallCode::kGetxattr, sys::Arg(link.c_str()), sys::Arg(name), sys::Arg(buffer),
                         static_cast<long>(bytes));
  }
  if (object.is_fd())
    return driver_->Call(CallCode::kFgetxattr, object.fd, sys::Arg(name), sys::Arg(buffer), static_cast<long>(bytes));
  if (has_xattrat_) {
    XattrArguments arguments = {reinterpret_cast<uint64_t>(buffer), static_cast<uint32_t>(bytes), 0};
    const long result = driver_->Call(CallCode::kGetxattrat, object.dirfd, sys::Arg(object.name), AT_SYMLINK_NOFOLLOW,
                                      sys::Arg(name), sys::Arg(&arguments), sizeof(arguments));
    if (result != -ENOSYS) return result;
    has_xattrat_ = false;
  }
  const std::string path = ProcPath(object);
  return driver_->Call(CallCode::kLgetxattr, sys::Arg(path.c_str()), sys::Arg(name), sys::Arg(buffer),
                       static_cast<long>(bytes));
}

int XattrAccess::Set(ObjectHandle object, const char* name, std::string_view value) {
  const long size = static_cast<long>(value.size());
  if (object.path_only) {
    const std::string link = object.MagicLink();
    return static_cast<int>(
        driver_->Call(CallCode::kSetxattr, sys::Arg(link.c_str()), sys::Arg(name), sys::Arg(value.data()), size, 0));
  }
  if (object.is_fd())
    return static_cast<int>(
        driver_->Call(CallCode::kFsetxattr, object.fd, sys::Arg(name), sys::Arg(value.data()), size, 0));
  if (has_xattrat_) {
    XattrArguments arguments = {reinterpret_cast<uint64_t>(value.data()), static_cast<uint32_t>(value.size()), 0};
    const long result = driver_->Call(CallCode::kSetxattrat, object.dirfd, sys::Arg(object.name), AT_SYMLINK_NOFOLLOW,
                                      sys::Arg(name), sys::Arg(&arguments), sizeof(arguments));
    if (result != -ENOSYS) return static_cast<int>(result);
    has_xattrat_ = false;
  }
  const std::string path = ProcPath(object);
  return static_cast<int>(
      driver_->Call(CallCode::kLsetxattr, sys::Arg(path.c_str()), sys::Arg(name), sys::Arg(value.data()), size, 0));
}

int XattrAccess::Remove(ObjectHandle object, const char* name) {
  if (object.path_only) {
    const std::string link = object.MagicLink();
    return static_cast<int>(driver_->Call(CallCode::kRemovexattr, sys::Arg(link.c_str()), sys::Arg(name)));
  }
  if (object.is_fd()) return static_cast<int>(driver_->Call(CallCode::kFremovexattr, object.fd, sys::Arg(name)));
  if (has_xattrat_) {
    const long result = driver_->Call(CallCode::kRemovexattrat, object.dirfd, sys::Arg(object.name),
                                      AT_SYMLINK_NOFOLLOW, sys::Arg(name));
    if (result != -ENOSYS) return static_cast<int>(result);
    has_xattrat_ = false;
  }
  const std::string path = ProcPath(object);
  return static_cast<int>(driver_->Call(CallCode::kLremovexattr, sys::Arg(path.c_str()), sys::Arg(name)));
}

long XattrAccess::ListNames(ObjectHandle object) {
  if (list_buffer_.empty()) list_buffer_.resize(kFirstListBytes);
  long bytes = List(object, list_buffer_.data(), list_buffer_.size());
  if (bytes == -ERANGE) {
    list_buffer_.resize(kMaxListBytes);
    bytes = List(object, list_buffer_.data(), list_buffer_.size());
  }
  // A file system without attributes has objects without attributes.
  unsupported_ = bytes == -EOPNOTSUPP || bytes == -ENOSYS;
  return unsupported_ ? 0 : bytes;
}

int XattrAccess::GetValue(ObjectHandle object, const char* name, std::string* value) {
  if (value_buffer_.empty()) value_buffer_.resize(kFirstValueBytes);
  long bytes = Get(object, name, value_buffer_.data(), value_buffer_.size());
  if (bytes == -ERANGE && value_buffer_.size() < kMaxValueBytes) {
    value_buffer_.resize(kMaxValueBytes);
    bytes = Get(object, name, value_buffer_.data(), value_buffer_.size());
  }
  if (bytes < 0) return static_cast<int>(bytes);
  value->assign(value_buffer_.data(), static_cast<size_t>(bytes));
  return 0;
}

absl::StatusOr<XattrList> XattrAccess::Read(ObjectHandle object, const MetadataSelection& selection) {
  XattrList list;
  if (!SelectsXattrs(selection)) return list;
  const long bytes = ListNames(object);
  if (bytes < 0) return ErrnoStatus(static_cast<int>(-bytes), "listxattr");
  size_t total = 0;
  const std::string_view names(list_buffer_.data(), static_cast<size_t>(bytes));
  for (size_t begin = 0; begin < names.size();) {
    const std::string_view name = names.substr(begin, names.find('\0', begin) - begin);
    begin += name.size() + 1;
    if (name.empty() || ClassifyXattr(name, selection) == XattrClass::kNotSelected) continue;
    Xattr xattr;
    xattr.name = name;
    const int error = GetValue(object, xattr.name.c_str(), &xattr.value);
    if (error == -ENODATA || error == -EOPNOTSUPP) continue;  // removed since it was listed
    if (error < 0) return ErrnoStatus(-error, "getxattr " + xattr.name);
    total += xattr.name.size() + xattr.value.size();
    if (list.size() >= kMaxXattrs || total > kMaxXattrBytes) return ErrnoStatus(E2BIG, "listxattr");
    list.push_back(std::move(xattr));
  }
  std::sort(list.begin(), list.end());
  return list;
}

int XattrAccess::Digest(ObjectHandle object, const MetadataSelection& selection, XattrDigests* digests) {
  *digests = {};
  if (!SelectsXattrs(selection)) return 0;
  const long bytes = ListNames(object);
  if (bytes <= 0) return static_cast<int>(-bytes);
  const absl::StatusOr<XattrList> list = Read(object, selection);
  if (!list.ok()) return StatusErrno(list.status()) != 0 ? StatusErrno(list.status()) : EIO;
  *digests = DigestXattrs(*list, selection);
  return 0;
}

void NoteNoAttributes(FileSystemFacts* system, FileType type) {
  const bool tells = type == FileType::kRegular || type == FileType::kDirectory;
  if (tells && system != nullptr) system->Remember(Lack::kAttributes);
}

}  // namespace uringsync
