// Extended attributes, ACLs and capabilities: which of them a session keeps, reading them, making them equal.
//
// Nothing here follows a link. By (directory, name) the *xattrat system calls (Linux 6.13) are tried first; where the
// kernel has none, /proc/self/fd/<dirfd>/<name> with the l* forms, and that is remembered for the life of the
// XattrAccess. On a file system without attributes every object simply has none.
//
// Thread rule: an XattrAccess belongs to the shard that owns its driver; keep one per shard, it holds the reply
// buffers. Use:  XattrAccess xattrs(driver);
//       US_ASSIGN_OR_RETURN(XattrList list, xattrs.Read(ObjectHandle::At(dirfd, name), selection));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/fs/file_system_facts.h"
#include "engine/ring/driver.h"

namespace uringsync {

// An object of the file system: an open descriptor, a descriptor that only names it (O_PATH: nobody can put another
// object in its place), or a name in a directory that is not followed. Borrows what it names.
struct ObjectHandle {
  int fd = -1;
  int dirfd = -1;
  const char* name = nullptr;
  bool path_only = false;  // `fd` is O_PATH: attributes and mode go through /proc/self/fd
  static ObjectHandle OfFd(int fd) { return {.fd = fd}; }
  static ObjectHandle Pinned(int path_fd) { return {.fd = path_fd, .path_only = true}; }
  static ObjectHandle At(int dirfd, const char* name) { return {.dirfd = dirfd, .name = name}; }
  bool is_fd() const { return fd >= 0; }
  // The magic link of a descriptor leads to its object and no further, even where that is a symlink.
  std::string MagicLink() const { return "/proc/self/fd/" + std::to_string(fd); }
};

// By the privilege that setting an attribute needs; one digest of Entry each.
enum class XattrClass : uint8_t {
  kNotSelected,  // not this session's: never read, compared, set or removed
  kOrdinary,     // user.*, ACLs, what an option named: Entry::xattr_digest
  kCapability,   // security.capability: Entry::capability_digest
  kTrusted       // trusted.* and other security.*: Entry::trusted_digest
};
// security.selinux only with `selinux`; lustre.*, trusted.lov, system.nfs4_acl and other system.* only when named in
// `extra_xattrs`; security.evm likewise (an HMAC over the inode itself: no copy of it is valid).
XattrClass ClassifyXattr(std::string_view name, const MetadataSelection& selection);
// False when no attribute at all can be selected: then nothing need be listed.
bool SelectsXattrs(const MetadataSelection& selection);

struct XattrDigests {
  Digest128 ordinary;
  Digest128 capability;
  Digest128 trusted;
};
// Digests of `xattrs` (sorted), class by class.
XattrDigests DigestXattrs(const XattrList& xattrs, const MetadataSelection& selection);

class XattrAccess {
 public:
  explicit XattrAccess(Driver* driver) : driver_(driver) {}
  Driver* driver() const { return driver_; }

  // The selected attributes, sorted. One list call for an object that has none. An attribute that vanishes between list
  // and get is left out. Errors: NotFound, PermissionDenied, E2BIG for more than kMaxXattrBytes or kMaxXattrs.
  absl::StatusOr<XattrList> Read(ObjectHandle object, const MetadataSelection& selection);
  // Same as digests, without an allocation for an object that has none. 0 or errno.
  int Digest(ObjectHandle object, const MetadataSelection& selection, XattrDigests* digests);

  // Raw forms: ≥ 0 or -errno. EOPNOTSUPP means that the file system keeps none.
  long List(ObjectHandle object, char* buffer, size_t bytes);
  long Get(ObjectHandle object, const char* name, void* buffer, size_t bytes);
  int Set(ObjectHandle object, const char* name, std::string_view value);
  int Remove(ObjectHandle object, const char* name);

  // The last object that Read or Digest looked at keeps no attributes.
  bool unsupported() const { return unsupported_; }

  static constexpr size_t kMaxXattrs = 4096;                 // per object
  static constexpr size_t kMaxXattrBytes = size_t{1} << 20;  // names and values of one object

 private:
  // The name list of `object` in list_buffer_; its length or -errno.
  long ListNames(ObjectHandle object);
  int GetValue(ObjectHandle object, const char* name, std::string* value);
  std::string ProcPath(ObjectHandle object) const;

  Driver* driver_;
  bool has_xattrat_ = true;  // until the kernel says ENOSYS
  bool unsupported_ = false;
  std::vector<char> list_buffer_;
  std::vector<char> value_buffer_;
};

// Of an object of `type` that keeps no attributes: of a file or directory that says it of the whole file system, which
// may be null.
void NoteNoAttributes(FileSystemFacts* system, FileType type);

}  // namespace uringsync
