// Entry: what a manifest says of one object, and the identity by which it is recognised again.
//
// Value types, free of I/O. Filled by engine/tree on an agent or by proto/convert from the wire.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/digest.h"
#include "engine/base/rel_path.h"
#include "engine/base/sha256.h"

namespace uringsync {

enum class FileType : uint8_t { kRegular = 1, kDirectory, kSymlink, kFifo, kSocket, kBlockDevice, kCharDevice };

// Type from the S_IFMT bits of st_mode; nullopt for a type that Linux does not have.
std::optional<FileType> FileTypeFromMode(uint32_t st_mode);
// S_IFMT bits for `type`.
uint32_t FileTypeToMode(FileType type);
// One word for messages: "file", "directory", "symlink", "fifo", "socket", "block device", "character device".
const char* FileTypeName(FileType type);

// A point in time as the file system keeps it. nanoseconds in [0, 1e9).
struct FileTime {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
  friend auto operator<=>(const FileTime&, const FileTime&) = default;
};

// (device, inode) of the host that reported it; equal values on one host within one run mean the same object.
struct FileId {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend auto operator<=>(const FileId&, const FileId&) = default;
};

// One extended attribute. ACLs are "system.posix_acl_access"/"_default", capabilities "security.capability".
struct Xattr {
  std::string name;   // full name, with its namespace, 1 to 255 bytes
  std::string value;  // at most 64 KiB
  friend auto operator<=>(const Xattr&, const Xattr&) = default;
};
// Sorted by name bytes, unique.
using XattrList = std::vector<Xattr>;
// Canonical digest: for each attribute in order its name length (u32 LE), name, value length (u32 LE), value. Zero for
// none.
// With a key by KeyedDigest (leaf_digest.h), else by XXH3-128.
Digest128 XattrDigest(const XattrList& xattrs, const std::optional<DigestKey>& key = std::nullopt);
// What XattrDigest digests.
std::string CanonicalXattrs(const XattrList& xattrs);

// What one attribute of an object's metadata is, as a set. Selects what a session preserves.
struct MetadataSelection {
  bool mode = true;
  bool owner = true;
  bool group = true;
  bool mtime = true;
  bool atime = false;
  bool xattrs = true;           // user.*, trusted.*, security.* except those below
  bool acls = true;             // system.posix_acl_access and _default
  bool selinux = false;         // security.selinux
  bool explicit_owner = false;  // ownership was named by an option: failing to set it is a problem, not a shrug
  bool explicit_privileged_xattrs = false;
  std::vector<std::string>
      extra_xattrs;             // exact names that are otherwise left out (lustre.*, trusted.lov, system.nfs4_acl)
  bool directory_times = true;  // with `mtime`: of directories too
  bool link_times = true;       // with `mtime`: of symlinks too
  // Without `mode`: a file that exists gets or loses its execute permissions as the source's has some or none.
  bool executability = false;
  // Modification times whose whole seconds are at most so far apart are one time. Unset: to the nanosecond, as far as
  // the destination keeps them.
  std::optional<uint32_t> modify_window_s;
  // A source's devices are regular files with what the devices hold, modified when they are looked at.
  bool device_files = false;
  // Under which contents and attributes are digested; unset: XXH3-128. Of one run, and set by the agent alone.
  std::optional<DigestKey> digest_key;

  // Whether the modification time of an object of this type is kept.
  bool KeepsTime(FileType type) const {
    if (type == FileType::kDirectory) return mtime && directory_times;
    return mtime && (link_times || type != FileType::kSymlink);
  }
  // Whether `a` and `b` are one modification time by modify_window_s.
  bool WithinWindow(const FileTime& a, const FileTime& b) const;
  friend bool operator==(const MetadataSelection&, const MetadataSelection&) = default;
};

// Owner and group of an object by their numbers.
struct OwnerIds {
  uint32_t uid = 0;
  uint32_t gid = 0;
  friend bool operator==(const OwnerIds&, const OwnerIds&) = default;
};

// Whether a destination's rules keep an object that the source does not have.
enum class Protection : uint8_t {
  kNone = 0,
  kUnlessParentGoes,  // by perishable rules: it goes with a directory that is deleted
  kAlways,
};

// `mode` of a file that exists, with execute permissions as a source of `source_mode` wants them (--executability):
// none where the source has none; where only the source has some, wherever reading is permitted.
uint32_t WithExecutability(uint32_t mode, uint32_t source_mode);

// What proves an object besides what its entry says; zeros where there is nothing to prove or it could not be read.
struct EntryProof {
  Sha256Digest attributes{};  // of CanonicalXattrs of the selected attributes
  Sha256Digest contents{};    // of a regular file
};

struct Entry {
  std::string name;  // validated component; empty for the root itself
  FileType type = FileType::kRegular;
  uint32_t mode = 0;  // permission, setuid, setgid and sticky bits: 07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size_bytes = 0;  // regular files: st_size; symlinks: length of the target; 0 otherwise
  FileTime mtime;
  std::optional<FileTime> atime;  // only where the session asked for it
  FileTime ctime;                 // evidence for change detection only, never copied
  uint64_t nlink = 1;
  FileId id;
  uint32_t rdev_major = 0;  // devices only
  uint32_t rdev_minor = 0;
  uint64_t allocated_bytes = 0;  // st_blocks * 512
  std::string symlink_target;    // symlinks only, any bytes but NUL
  // Digests over the selected attributes, by the privilege that setting them needs; zero for none of that class.
  Digest128 xattr_digest;                   // user.*, ACLs, and what an option named (security.selinux, extra_xattrs)
  Digest128 capability_digest;              // security.capability: CAP_SETFCAP
  Digest128 trusted_digest;                 // trusted.* and other security.*: CAP_SYS_ADMIN
  std::optional<Digest128> content_digest;  // regular files, where the session asked for --checksum
  // errno of a failed look at this object, 0 where all is known. An entry with an error has at least name and type.
  int error = 0;
  // Where the session was asked for proofs (StartManifest::prove).
  std::shared_ptr<const EntryProof> proof;
  // A directory that the scan does not enter (another file system under --one-file-system): no batch of it follows.
  bool not_entered = false;
  // A directory that is known to be equal on both sides with all below it: no batch of it follows.
  bool pruned = false;
  // A directory that only leads to what is in the transfer and is not in it itself: where it is missing it is made
  // plainly, and where it is there nothing of it changes.
  bool implied = false;
  // A symlink of a destination that leads to a directory which is to be kept (--keep-dirlinks): its listing comes, too.
  bool directory_link = false;
  Protection protection = Protection::kNone;  // manifest of a destination with filter rules
  // The modification time lies within a tick of the clock before the object was looked at, or after it: a further
  // change may have left size and time as they are.
  bool unsettled = false;
  // Set by the coordinator: of the object at the source, where `uid` and `gid` are what they become at the destination.
  std::optional<OwnerIds> mapped_from;
};

// Entries of a directory that stand in a manifest as one digest (engine/tree/listing_digest.h).
struct FoldedEntries {
  Digest128 digest;
  uint64_t entries = 0;
  uint64_t files = 0;  // regular ones among them
  uint64_t bytes = 0;  // their sizes
  friend bool operator==(const FoldedEntries&, const FoldedEntries&) = default;
};

// One message of a manifest: a directory's own entry and (a part of) its children.
// Directories come depth-first, parents before children, siblings sorted by name bytes. A huge directory comes in
// several batches, consecutive, entries sorted across them.
struct DirectoryBatch {
  RelPath directory;
  Entry self;                  // the directory itself; name is its last component. In every batch of the directory
  std::vector<Entry> entries;  // sorted by name bytes, unique, no '.' or '..'
  bool last = true;            // no further batch of this directory follows
  // errno of listing this directory (opendir, getdents), 0 for a complete listing. Deletes are forbidden under an
  // error.
  int error = 0;
  // The entries that are not in `entries`, in a listing that came whole and without an error; then `last` is set.
  std::optional<FoldedEntries> folded;
  // `entries` are not all that the directory holds, only what is in the transfer: what is missing here may well be
  // there.
  bool partial = false;
  // Manifest of a destination with filter rules: the directory holds objects that are not told, because the rules of
  // both sides leave them out. It can never be removed.
  bool holds_excluded = false;
  // Part of the answer to a verdict that asked for all entries of a folded listing; it takes no credit.
  bool expanded = false;
  // Set by the coordinator: the other side folded the same entries.
  bool matched = false;
};

}  // namespace uringsync
