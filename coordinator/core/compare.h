// Compare: which attributes of a source object its destination object lacks.
//
// Pure functions over values: no I/O, no clock, any thread. What the destination cannot set (no CAP_CHOWN, ...) is left
// out of the difference unless an option named it, and reported as "skipped" where it would have differed.
//
// Use:  ComparePolicy policy = ComparePolicy::For(selection, checksum, destination_opened);
//       Differences d = Compare(source_entry, destination_entry, policy);
//       if (!d.empty()) ...
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/entry.h"
#include "proto/messages.h"

namespace uringsync {

// One attribute in which two objects differ. Values are bits of a Differences mask.
enum class Attribute : uint32_t {
  kExistence = 1u << 0,  // nothing of that name at the destination
  kType = 1u << 1,
  kSize = 1u << 2,          // regular files
  kMtime = 1u << 3,         // for a regular file without content digests also the sign of changed contents
  kContent = 1u << 4,       // content digests differ (--checksum, verify)
  kTarget = 1u << 5,        // symlinks
  kDeviceNumber = 1u << 6,  // block and character devices
  kMode = 1u << 7,
  kOwner = 1u << 8,
  kGroup = 1u << 9,
  kAtime = 1u << 10,
  kXattrs = 1u << 11,  // user.*, ACLs and attributes named by an option
  kCapabilities = 1u << 12,
  kTrusted = 1u << 13,     // trusted.* and other security.*
  kHardLink = 1u << 14,    // the object is not the hard link that it is at the source (or is one that it is not there)
  kExtraneous = 1u << 15,  // only at the destination
  kAssumed = 1u << 16,  // contents are taken as changed: nothing but the time was compared (kMtime), or not even that
};

class Differences {
 public:
  Differences() = default;
  bool empty() const { return mask_ == 0; }
  bool Has(Attribute attribute) const { return (mask_ & static_cast<uint32_t>(attribute)) != 0; }
  void Add(Attribute attribute) { mask_ |= static_cast<uint32_t>(attribute); }
  uint32_t mask() const { return mask_; }
  static Differences FromMask(uint32_t mask);
  // The object has to be made anew (contents, target, device number, type), not only given metadata.
  bool NeedsObject() const;
  // xattrs, ACLs, capabilities or trusted attributes differ.
  bool NeedsXattrs() const;

  // Would differ, but the destination cannot set it and no option named it: no part of the asked state. Not in the
  // mask.
  bool skipped_owner = false;   // owner or group, and the setuid/setgid bits that hang on them
  bool skipped_xattrs = false;  // capabilities or trusted attributes

  friend bool operator==(const Differences&, const Differences&) = default;

 private:
  uint32_t mask_ = 0;
};

// What counts as a difference in this run.
struct ComparePolicy {
  MetadataSelection selection;
  bool checksum = false;      // contents by digest; otherwise by size and mtime
  bool size_only = false;     // without checksum: equal size means equal contents
  bool ignore_times = false;  // without checksum and size_only: contents are always taken as changed
  // Abilities of the destination process, from SessionOpened.
  bool can_chown = false;
  bool can_set_capabilities = false;
  bool can_set_trusted = false;
  uint32_t uid = 0;
  std::vector<uint32_t> groups;  // sorted; groups it may give to its own files
  uint32_t time_granularity_ns = 1;
  TimeRange time_range;

  // The policy of a run into a destination that answered `opened`.
  static ComparePolicy For(const MetadataSelection& selection, bool checksum, const SessionOpened& opened);

  // `a` and `b` are one time as far as the destination keeps times, and by the selection's modify_window_s.
  bool SameKeptTime(const FileTime& a, const FileTime& b) const;
  // Owner or group of `source` is part of the asked state for a destination object that has `destination_*` now.
  bool OwnerAsked() const { return selection.owner && (can_chown || selection.explicit_owner); }
  bool GroupAsked(uint32_t source_gid, uint32_t destination_uid) const;
  bool CapabilitiesAsked() const {
    return selection.xattrs && (can_set_capabilities || selection.explicit_privileged_xattrs);
  }
  bool TrustedAsked() const { return selection.xattrs && (can_set_trusted || selection.explicit_privileged_xattrs); }
};

// Mode bits of `source` that are part of the asked state of `destination`: all of 07777, but setuid only where the
// object will belong to the source's owner, setgid only where it will have the source's group (the rule of
// GrantableMode, engine/fs/metadata.h: a copy hands out no rights that nobody granted). Directories keep setgid unless
// the kernel would drop it (a group that the process is not in, without CAP_CHOWN). Bits that are not asked for are not
// compared.
uint32_t AskedModeBits(const Entry& source, const Entry& destination, const ComparePolicy& policy);

// Times are equal when they agree after both are cut to multiples of `granularity_ns` (at least 1).
bool SameTime(const FileTime& a, const FileTime& b, uint32_t granularity_ns);

// Differences of two objects that exist, neither with an error. Types that differ give kType alone.
Differences Compare(const Entry& source, const Entry& destination, const ComparePolicy& policy);

// Differences of a source object that has nothing at the destination: kExistence alone, and what will be skipped.
Differences CompareMissing(const Entry& source, const ComparePolicy& policy);

// Machine-readable names of the differences, in a fixed order: "new", "type", "size", "mtime", "content", "target",
// "device", "mode", "owner", "group", "atime", "xattrs", "capabilities", "trusted", "hardlink", "extraneous";
// "unchecked" alone for a file of equal size and time that is taken as changed (ignore_times).
std::vector<std::string> DifferenceNames(const Differences& differences);

}  // namespace uringsync
