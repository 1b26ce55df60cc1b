#include "engine/fs/metadata.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "engine/base/errno_status.h"
#include "engine/base/unique_fd.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

constexpr uint32_t kSpecialBits = S_ISUID | S_ISGID;
constexpr uint32_t kPermissionMask = 07777;

FileTime TimeOf(const statx_timestamp& t) {
  return {.seconds = t.tv_sec, .nanoseconds = t.tv_nsec};
}

timespec TimespecOf(const FileTime& t) {
  return {.tv_sec = static_cast<time_t>(t.seconds), .tv_nsec = static_cast<long>(t.nanoseconds)};
}

int StatObject(Driver* driver, ObjectHandle object, struct statx* out) {
  if (object.is_fd()) return sys::Statx(driver, object.fd, "", AT_EMPTY_PATH, kEntryStatxMask, out);
  return sys::Statx(driver, object.dirfd, object.name, AT_SYMLINK_NOFOLLOW, kEntryStatxMask, out);
}

// Permissions that a POSIX ACL in the kernel's form (linux/posix_acl_xattr.h) gives an entry of `tag`; nullopt without
// one.
std::optional<uint32_t> AclPermissions(const std::string& acl, uint16_t tag) {
  constexpr size_t kHeaderBytes = 4;
  constexpr size_t kEntryBytes = 8;
  for (size_t at = kHeaderBytes; at + kEntryBytes <= acl.size(); at += kEntryBytes) {
    uint16_t fields[2];
    std::memcpy(fields, acl.data() + at, sizeof(fields));
    if (le16toh(fields[0]) == tag) return le16toh(fields[1]) & 07;
  }
  return std::nullopt;
}
constexpr uint16_t kAclOwner = 0x01;
constexpr uint16_t kAclGroup = 0x04;
constexpr uint16_t kAclMask = 0x10;
constexpr uint16_t kAclOther = 0x20;

// The rwx bits that an object with this ACL has.
uint32_t ModeOfAcl(const std::string& acl) {
  const std::optional<uint32_t> mask = AclPermissions(acl, kAclMask);
  const uint32_t group = mask.has_value() ? *mask : AclPermissions(acl, kAclGroup).value_or(0);
  return AclPermissions(acl, kAclOwner).value_or(0) << 6 | group << 3 | AclPermissions(acl, kAclOther).value_or(0);
}
constexpr char kAccessAcl[] = "system.posix_acl_access";
constexpr char kDefaultAcl[] = "system.posix_acl_default";
constexpr char kCapability[] = "security.capability";

int SetTimes(Driver* driver, ObjectHandle object, const timespec times[2]) {
  if (object.path_only) return sys::Utimensat(driver, AT_FDCWD, object.MagicLink().c_str(), times, 0);
  if (object.is_fd()) return sys::Utimensat(driver, object.fd, nullptr, times, 0);
  return sys::Utimensat(driver, object.dirfd, object.name, times, AT_SYMLINK_NOFOLLOW);
}

// One ApplyMetadata call. Steps run in the order of the header; each records its failure and the next one goes on.
class Applier {
 public:
  Applier(XattrAccess* xattrs, ObjectHandle object, const MetadataRequest& request, MetadataCounters* counters)
      : xattrs_(xattrs),
        driver_(xattrs->driver()),
        object_(object),
        request_(request),
        wanted_(*request.wanted),
        selection_(*request.selection),
        capabilities_(*request.capabilities),
        counters_(counters) {}

  absl::Status Run() {
    struct statx stat;
    const int found = StatObject(driver_, object_, &stat);
    if (found < 0) return ErrnoStatus(-found, "statx");
    EntryFromStatx(stat, true, &now_);
    if (request_.systems != nullptr) system_ = request_.systems->Find(now_.id.device);
    ApplyOwner();
    ReadPresentXattrs();
    ApplyXattrs(XattrClass::kOrdinary);
    ApplyMode();
    RestoreCapability();
    ApplyXattrs(XattrClass::kCapability);
    ApplyXattrs(XattrClass::kTrusted);
    ApplyTimes();
    return first_error_;
  }

 private:
  void Record(int result, std::string_view operation) {
    if (result < 0 && first_error_.ok()) first_error_ = ErrnoStatus(-result, operation);
  }
  bool is_symlink() const { return now_.type == FileType::kSymlink; }

  int Chown(uint32_t uid, uint32_t gid) {
    if (object_.is_fd()) return sys::Fchownat(driver_, object_.fd, "", uid, gid, AT_EMPTY_PATH);
    return sys::Fchownat(driver_, object_.dirfd, object_.name, uid, gid, AT_SYMLINK_NOFOLLOW);
  }

  void ApplyOwner() {
    constexpr uint32_t kKeep = ~uint32_t{0};
    const bool uid_differs = selection_.owner && wanted_.uid != now_.uid;
    const bool gid_differs = selection_.group && wanted_.gid != now_.gid;
    if (!uid_differs && !gid_differs) return;
    const bool may_uid = capabilities_.can_chown || selection_.explicit_owner;
    const bool may_gid = may_uid || (now_.uid == capabilities_.uid && capabilities_.InGroup(wanted_.gid));
    uint32_t uid = uid_differs && may_uid ? wanted_.uid : kKeep;
    uint32_t gid = gid_differs && may_gid ? wanted_.gid : kKeep;
    bool skipped = (uid_differs && !may_uid) || (gid_differs && !may_gid);
    if (uid != kKeep || gid != kKeep) {
      ReadCapability();
      const int result = Chown(uid, gid);
      if (result == 0) {
        uid_changed_ = uid != kKeep;
        gid_changed_ = gid != kKeep;
        if (uid_changed_) now_.uid = uid;
        if (gid_changed_) now_.gid = gid;
        owner_changed_ = true;
      } else if ((result == -EPERM || result == -EINVAL) && !selection_.explicit_owner) {
        // EINVAL: an id that this user namespace does not map: it may not be set either.
        skipped = true;
      } else {
        Record(result, "fchownat");
      }
    }
    if (skipped) ++counters_->skipped_owner;
  }

  // The kernel drops a file's capabilities with its owner. Where the attributes are not part of this request they were
  // found equal to the source's, so that they stay; a session that does not keep attributes gives no capability to a
  // new owner.
  void ReadCapability() {
    if (request_.xattrs != nullptr || request_.fresh || !selection_.xattrs || now_.type != FileType::kRegular) return;
    char value[64];  // the kernel knows forms of up to 24 bytes
    const long bytes = xattrs_->Get(object_, kCapability, value, sizeof(value));
    if (bytes > 0) capability_.emplace(value, static_cast<size_t>(bytes));
  }

  void RestoreCapability() {
    if (owner_changed_ && capability_.has_value()) Change(XattrClass::kCapability, kCapability, &*capability_);
  }

  void ReadPresentXattrs() {
    const bool inherited = request_.fresh && request_.inherits_acl && selection_.acls && !is_symlink();
    if (request_.xattrs == nullptr && !inherited) return;
    MetadataSelection relevant = selection_;
    if (request_.xattrs == nullptr) {
      // A fresh object: only an ACL inherited from its directory can be wrong.
      relevant.xattrs = relevant.selinux = false;
      relevant.extra_xattrs.clear();
    }
    compare_xattrs_ = true;
    if (system_ != nullptr && system_->Lacks(Lack::kAttributes)) return;
    absl::StatusOr<XattrList> present = xattrs_->Read(object_, relevant);
    if (!present.ok()) {
      if (first_error_.ok()) first_error_ = present.status();
      compare_xattrs_ = false;
      return;
    }
    if (xattrs_->unsupported()) NoteNoAttributes(system_, now_.type);
    present_ = std::move(*present);
  }

  bool MaySet(XattrClass xattr_class) const {
    if (selection_.explicit_privileged_xattrs) return true;
    if (xattr_class == XattrClass::kCapability) return capabilities_.can_set_capabilities;
    if (xattr_class == XattrClass::kTrusted) return capabilities_.can_set_trusted;
    return true;
  }

  // Merges the wanted and the present attributes of one class, both sorted.
  void ApplyXattrs(XattrClass xattr_class) {
    if (!compare_xattrs_) return;
    static const XattrList kNone;
    const XattrList& wanted = request_.xattrs != nullptr ? *request_.xattrs : kNone;
    const auto of_class = [&](const Xattr& xattr) { return ClassifyXattr(xattr.name, selection_) == xattr_class; };
    for (const Xattr& xattr : wanted) {
      if (!of_class(xattr)) continue;
      const auto at = std::lower_bound(present_.begin(), present_.end(), xattr.name,
                                       [](const Xattr& a, const std::string& name) { return a.name < name; });
      const bool there = at != present_.end() && at->name == xattr.name;
      // A change of owner has dropped the file's capabilities.
      const bool dropped = owner_changed_ && xattr_class == XattrClass::kCapability;
      if (there && at->value == xattr.value && !dropped) {
        mode_is_of_acl_ = mode_is_of_acl_ || xattr.name == kAccessAcl;
        continue;
      }
      Change(xattr_class, xattr.name, &xattr.value);
    }
    for (const Xattr& xattr : present_) {
      if (!of_class(xattr)) continue;
      const bool keep = std::binary_search(wanted.begin(), wanted.end(), xattr,
                                           [](const Xattr& a, const Xattr& b) { return a.name < b.name; });
      if (!keep) Change(xattr_class, xattr.name, nullptr);
    }
  }

  // Sets (or removes, for a null value) one attribute.
  void Change(XattrClass xattr_class, const std::string& name, const std::string* value) {
    if (!MaySet(xattr_class)) {
      ++counters_->skipped_xattrs;
      return;
    }
    const auto change = [&] {
      if (system_ != nullptr && system_->Lacks(Lack::kAttributes)) return -EOPNOTSUPP;
      return value != nullptr ? xattrs_->Set(object_, name.c_str(), *value) : xattrs_->Remove(object_, name.c_str());
    };
    int result = change();
    if (result == -EACCES && MakeWritable()) result = change();
    if (result == -ENODATA && value == nullptr) return;  // gone already
    if (result == -EPERM && xattr_class != XattrClass::kOrdinary && !selection_.explicit_privileged_xattrs) {
      // The capability counts in a user namespace only, and this attribute is kept for the initial one.
      ++counters_->skipped_xattrs;
      return;
    }
    if (name == "security.selinux" && value == nullptr) return;  // a label cannot be removed, only replaced
    Record(result, (value != nullptr ? "setxattr " : "removexattr ") + name);
    if (name == kAccessAcl && result >= 0) NoteAclChange(value);
  }

  void NoteAclChange(const std::string* value) {
    mode_unknown_ = true;
    if (selection_.mode) return;
    if (value != nullptr) {
      // It is the mode, too; a chmod would only damage its mask.
      mode_is_of_acl_ = true;
      now_.mode = (now_.mode & ~uint32_t{0777}) | ModeOfAcl(*value);
      restore_mode_.reset();
      return;
    }
    // The bits of the group class are still those of the mask, which the owning group need not have had.
    const auto old =
        std::find_if(present_.begin(), present_.end(), [](const Xattr& x) { return x.name == kAccessAcl; });
    if (old == present_.end()) return;
    const uint32_t group =
        AclPermissions(old->value, kAclGroup).value_or(0) & AclPermissions(old->value, kAclMask).value_or(07);
    restore_mode_ = (restore_mode_.value_or(now_.mode) & ~uint32_t{S_IRWXG}) | group << 3;
  }

  // user.* attributes want write permission, which the owner of a read-only object has to give itself first.
  bool MakeWritable() {
    if (is_symlink() || now_.uid != capabilities_.uid || (now_.mode & S_IWUSR) != 0) return false;
    if (Chmod(now_.mode | S_IWUSR) < 0) return false;
    now_.mode |= S_IWUSR;
    restore_mode_ = now_.mode & ~uint32_t{S_IWUSR};
    return true;
  }

  int Chmod(uint32_t mode) {
    if (object_.path_only) return sys::Fchmodat(driver_, AT_FDCWD, object_.MagicLink().c_str(), mode);
    if (object_.is_fd()) return sys::Fchmod(driver_, object_.fd, mode);
    // fchmodat follows links, and O_PATH descriptors refuse fchmod: pin the object, then go through /proc.
    const int fd = sys::Openat(driver_, object_.dirfd, object_.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return fd;
    const UniqueFd pinned(fd);
    return sys::Fchmodat(driver_, AT_FDCWD, ObjectHandle::Pinned(pinned.get()).MagicLink().c_str(), mode);
  }

  void ApplyMode() {
    if (is_symlink()) return;
    // chown takes setuid and setgid away from anything but directories.
    const bool bits_dropped = owner_changed_ && (now_.mode & kSpecialBits) != 0;
    if (!selection_.mode) return ApplyUnselectedMode(bits_dropped);
    const uint32_t mode = GrantableMode(wanted_, now_.uid, now_.gid);
    if (mode == now_.mode && !mode_unknown_ && !bits_dropped && !restore_mode_.has_value()) return;
    Record(Chmod(mode), "fchmod");
  }

  // `mode` of an object that exists, or existed, where only its being executable is kept.
  uint32_t Executable(uint32_t mode) const {
    const bool kept = selection_.executability && wanted_.type == FileType::kRegular;
    return kept ? WithExecutability(mode, wanted_.mode) : mode;
  }

  void ApplyUnselectedMode(bool bits_dropped) {
    std::optional<uint32_t> mode = restore_mode_;
    if (!request_.fresh && !mode_is_of_acl_) {
      const uint32_t now = mode.value_or(now_.mode);
      if (Executable(now) != now) mode = Executable(now);
    }
    if (request_.fresh && !mode_is_of_acl_) {
      mode = wanted_.mode & 0777 & request_.creation_mask;
      // What a directory has of it at this point it has inherited, which belongs to a plain creation.
      if (now_.type == FileType::kDirectory) *mode |= now_.mode & S_ISGID;
      if (request_.unselected_mode.has_value()) {
        mode = Executable(*request_.unselected_mode) & ~kSpecialBits & kPermissionMask;
      }
    } else if (bits_dropped && !mode.has_value()) {
      mode = now_.mode;
    }
    if (!mode.has_value()) return;
    // What nobody granted to the new owner or group does not pass to them.
    if (now_.type != FileType::kDirectory) {
      if (uid_changed_) *mode &= ~uint32_t{S_ISUID};
      if (gid_changed_) *mode &= ~uint32_t{S_ISGID};
    }
    if (mode == now_.mode && !mode_unknown_ && !bits_dropped) return;
    Record(Chmod(*mode), "fchmod");
  }

  void ApplyTimes() {
    // What was made just now has a time that means nothing, however near it is.
    const bool same_mtime = request_.fresh || request_.written ? wanted_.mtime == now_.mtime
                                                               : selection_.WithinWindow(wanted_.mtime, now_.mtime);
    const bool mtime = selection_.KeepsTime(now_.type) && !same_mtime;
    const bool atime = selection_.atime && wanted_.atime.has_value() && wanted_.atime != now_.atime;
    if (!mtime && !atime) return;
    Record(static_cast<int>(-StatusErrno(uringsync::ApplyTimes(driver_, object_, wanted_, selection_))), "utimensat");
  }

  XattrAccess* xattrs_;
  Driver* driver_;
  const ObjectHandle object_;
  const MetadataRequest& request_;
  const Entry& wanted_;
  const MetadataSelection& selection_;
  const ProcessCapabilities& capabilities_;
  MetadataCounters* counters_;
  FileSystemFacts* system_ = nullptr;  // where the object lies; null: unknown

  Entry now_;          // state of the object, kept up to date
  XattrList present_;  // its selected attributes at the start
  bool compare_xattrs_ = false;
  bool owner_changed_ = false;
  bool uid_changed_ = false;
  bool gid_changed_ = false;
  bool mode_unknown_ = false;    // a step may have moved mode bits behind our back
  bool mode_is_of_acl_ = false;  // the object has the source's ACL
  std::optional<uint32_t> restore_mode_;
  std::optional<std::string> capability_;  // that the change of owner dropped
  absl::Status first_error_;
};

}  // namespace

bool EntryFromStatx(const struct statx& stat, bool with_atime, Entry* entry) {
  const std::optional<FileType> type = FileTypeFromMode(stat.stx_mode);
  if (!type.has_value()) return false;
  entry->type = *type;
  entry->mode = stat.stx_mode & kPermissionMask;
  entry->uid = stat.stx_uid;
  entry->gid = stat.stx_gid;
  entry->size_bytes = *type == FileType::kRegular || *type == FileType::kSymlink ? stat.stx_size : 0;
  entry->mtime = TimeOf(stat.stx_mtime);
  entry->ctime = TimeOf(stat.stx_ctime);
  entry->atime.reset();
  // To read a symlink's target moves its access time, and nothing can be asked to prevent that.
  if (with_atime && *type != FileType::kSymlink) entry->atime = TimeOf(stat.stx_atime);
  entry->nlink = stat.stx_nlink;
  entry->id = {.device = ::makedev(stat.stx_dev_major, stat.stx_dev_minor), .inode = stat.stx_ino};
  const bool device = *type == FileType::kBlockDevice || *type == FileType::kCharDevice;
  entry->rdev_major = device ? stat.stx_rdev_major : 0;
  entry->rdev_minor = device ? stat.stx_rdev_minor : 0;
  entry->allocated_bytes = stat.stx_blocks * 512;
  return true;
}

uint32_t GrantableMode(const Entry& wanted, uint32_t uid, uint32_t gid) {
  uint32_t mode = wanted.mode & kPermissionMask;
  if (wanted.type == FileType::kDirectory) return mode;
  if (wanted.uid != uid) mode &= ~uint32_t{S_ISUID};
  if (wanted.gid != gid) mode &= ~uint32_t{S_ISGID};
  return mode;
}

uint32_t CreationMask(XattrAccess* xattrs, int parent_fd, const MetadataSelection& selection, uint32_t umask) {
  const uint32_t plain = 0777 & ~umask;
  if (selection.acls) return plain;
  char value[4096];
  const long bytes = xattrs->Get(ObjectHandle::Pinned(parent_fd), kDefaultAcl, value, sizeof(value));
  if (bytes <= 0) return plain;  // none, or a file system without ACLs
  return ModeOfAcl(std::string(value, static_cast<size_t>(bytes)));
}

bool InheritsAcl(XattrAccess* xattrs, const Directory& parent) {
  using Answer = DirectoryFacts::Answer;
  std::atomic<Answer>& fact = parent.facts().default_acl;
  Answer answer = fact.load(std::memory_order_relaxed);
  if (answer == Answer::kUnknown) {
    FileSystemFacts& system = parent.file_system(xattrs->driver());
    const bool never = system.Lacks(Lack::kAcls) || system.Lacks(Lack::kAttributes);
    const long bytes =
        never ? -EOPNOTSUPP : xattrs->Get(ObjectHandle::Pinned(parent.fd()), kDefaultAcl, nullptr, 0);
    if (bytes == -EOPNOTSUPP) system.Remember(Lack::kAcls);
    answer = bytes == 0 || bytes == -ENODATA || bytes == -EOPNOTSUPP ? Answer::kNo : Answer::kYes;
    fact.store(answer, std::memory_order_relaxed);
  }
  return answer == Answer::kYes;
}

absl::Status ApplyMetadata(XattrAccess* xattrs, ObjectHandle object, const MetadataRequest& request,
                           MetadataCounters* counters) {
  return Applier(xattrs, object, request, counters).Run();
}

absl::Status ApplyTimes(Driver* driver, ObjectHandle object, const Entry& wanted, const MetadataSelection& selection) {
  timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 0, .tv_nsec = UTIME_OMIT}};
  if (selection.atime && wanted.atime.has_value()) times[0] = TimespecOf(*wanted.atime);
  if (selection.KeepsTime(wanted.type)) times[1] = TimespecOf(wanted.mtime);
  return sys::SysStatus(SetTimes(driver, object, times), "utimensat");
}

}  // namespace uringsync
