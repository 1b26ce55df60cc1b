// Metadata of one object: into an Entry, and from an Entry onto an object, in an order in which no step undoes another:
//   owner → user.* and ACLs → mode → security.capability, trusted.* → times.
// (chown clears setuid and capabilities; an ACL rewrites the group bits of the mode; a mode change rewrites the ACL's
// mask; everything moves ctime, and setting times last keeps them.)
//
// Rules of what may be set (issue "Privilege"):
//  - an owner or group that the process may not set is skipped and counted, unless selection.explicit_owner;
//  - capabilities and trusted.* likewise, unless selection.explicit_privileged_xattrs;
//  - setuid is never given to an object that another user owns than the source's, nor setgid with another group
//    (GrantableMode): a copy must not hand out rights that nobody granted. The comparison must use the same rule.
//  - mode is independent of umask and of ACLs inherited from the parent: a selected ACL that the source lacks is
//  removed.
//
// Thread rule: the shard that owns the XattrAccess's driver. Use: see ApplyMetadata.
#pragma once

#include <linux/stat.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "engine/base/entry.h"
#include "engine/fs/directory.h"
#include "engine/fs/process_capabilities.h"
#include "engine/fs/xattrs.h"

namespace uringsync {

// What statx must be asked for an Entry (atime is in it).
constexpr unsigned kEntryStatxMask = STATX_BASIC_STATS;

// Fills everything that statx tells (not name, link target, digests). atime only when asked for, and never of a
// symlink: to read its target moves it. False for an object of a type that Linux does not have.
bool EntryFromStatx(const struct statx& stat, bool with_atime, Entry* entry);

// `wanted.mode` as it may be given to an object that `uid`:`gid` own: without setuid where the owner differs, without
// setgid where the group differs (directories keep setgid: there it grants nothing).
uint32_t GrantableMode(const Entry& wanted, uint32_t uid, uint32_t gid);

struct MetadataCounters {
  uint64_t skipped_owner = 0;   // objects whose owner or group may not be set
  uint64_t skipped_xattrs = 0;  // attributes that may not be set
};

struct MetadataRequest {
  const Entry* wanted = nullptr;
  // The complete list of the source's selected attributes, sorted: the object is made equal to it, selected ones that
  // are not in it are removed. Null: attributes stay as they are.
  const XattrList* xattrs = nullptr;
  const MetadataSelection* selection = nullptr;
  const ProcessCapabilities* capabilities = nullptr;
  // The object was made by us, under a private name, just now: with `xattrs` null only inherited ACLs are removed (a
  // fresh object has no other attribute).
  bool fresh = false;
  // Contents were written just now, or it is fresh: a time near the wanted one is none that was kept.
  bool written = false;
  // A fresh object may have inherited an ACL from its directory (InheritsAcl).
  bool inherits_acl = true;
  // Mode of a fresh object when the session does not keep modes: the replaced object's (setuid and setgid are not taken
  // over: the contents are new). Unset: what a plain creation would give, which is the source's rwx bits as far as
  // `creation_mask` lets them through. An ACL of the source decides the mode of a fresh object instead.
  std::optional<uint32_t> unselected_mode;
  uint32_t creation_mask = 0755;
  // What is known of the file systems where objects lie: one that keeps no attributes is asked for none. May be null.
  FileSystems* systems = nullptr;
};

// Permission bits that creating an object in `parent` leaves: all but the umask's, or what the default ACL there gives
// when ACLs are inherited (not selected: a session that keeps ACLs removes inherited ones).
uint32_t CreationMask(XattrAccess* xattrs, int parent_fd, const MetadataSelection& selection, uint32_t umask);

// Whether what is made in `parent` inherits an ACL; asked for once (DirectoryFacts), and of a file system without ACLs
// not even that. True where that cannot be told.
bool InheritsAcl(XattrAccess* xattrs, const Directory& parent);

// Makes `object`'s selected metadata equal to request.wanted, changing only what differs from its present state (one
// statx and, where attributes are involved, one list). What a change of owner takes away although it is to stay
// (security.capability, setuid, setgid), is put back. Goes on after a failure and returns the first one, its message
// led by the name of the call
// ("fchownat: Operation not permitted"); OK where everything that could be asked for is set. Ownership before contents
// are readable: call it while the object has a private name and mode 0600, or 0700.
absl::Status ApplyMetadata(XattrAccess* xattrs, ObjectHandle object, const MetadataRequest& request,
                           MetadataCounters* counters);

// Times alone, for a directory whose entries moved after its metadata was set.
absl::Status ApplyTimes(Driver* driver, ObjectHandle object, const Entry& wanted, const MetadataSelection& selection);

}  // namespace uringsync
