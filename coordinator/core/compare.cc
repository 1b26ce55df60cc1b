#include "coordinator/core/compare.h"

#include <algorithm>
#include <utility>

namespace uringsync {
namespace {

constexpr uint32_t kSetuid = 04000;
constexpr uint32_t kSetgid = 02000;
constexpr uint32_t kAllModeBits = 07777;

constexpr uint32_t Bit(Attribute attribute) {
  return static_cast<uint32_t>(attribute);
}

constexpr std::pair<Attribute, const char*> kNames[] = {
    {Attribute::kExistence, "new"},       {Attribute::kType, "type"},
    {Attribute::kSize, "size"},           {Attribute::kMtime, "mtime"},
    {Attribute::kContent, "content"},     {Attribute::kTarget, "target"},
    {Attribute::kDeviceNumber, "device"}, {Attribute::kMode, "mode"},
    {Attribute::kOwner, "owner"},         {Attribute::kGroup, "group"},
    {Attribute::kAtime, "atime"},         {Attribute::kXattrs, "xattrs"},
    {Attribute::kTrusted, "trusted"},     {Attribute::kCapabilities, "capabilities"},
    {Attribute::kHardLink, "hardlink"},   {Attribute::kExtraneous, "extraneous"},
};

bool IsDevice(FileType type) {
  return type == FileType::kBlockDevice || type == FileType::kCharDevice;
}

bool AnyXattrSelected(const MetadataSelection& selection) {
  return selection.xattrs || selection.acls || selection.selinux || !selection.extra_xattrs.empty();
}

void CompareFileContents(const Entry& source, const Entry& destination, const ComparePolicy& policy,
                         Differences* result) {
  const bool same_time = policy.SameKeptTime(source.mtime, destination.mtime);
  if (source.size_bytes != destination.size_bytes) result->Add(Attribute::kSize);
  if (policy.checksum) {
    // A file without a digest is one that nobody could vouch for: it is copied rather than believed.
    const bool same_digest =
        source.content_digest && destination.content_digest && *source.content_digest == *destination.content_digest;
    if (!same_digest) result->Add(Attribute::kContent);
    if (!same_time && policy.selection.mtime) result->Add(Attribute::kMtime);
  } else if (policy.size_only) {
    if (!same_time && policy.selection.mtime) result->Add(Attribute::kMtime);
  } else if (!same_time || source.unsettled) {
    // Of a file that was modified within a tick of the look at it, the time proves nothing.
    result->Add(Attribute::kMtime);
    result->Add(Attribute::kAssumed);
  } else if (policy.ignore_times) {
    result->Add(Attribute::kAssumed);
  }
}

void CompareOwnership(const Entry& source, const Entry& destination, const ComparePolicy& policy, Differences* result) {
  if (policy.selection.owner && source.uid != destination.uid) {
    if (policy.OwnerAsked()) {
      result->Add(Attribute::kOwner);
    } else {
      result->skipped_owner = true;
    }
  }
  if (policy.selection.group && source.gid != destination.gid) {
    // What is made anew belongs to the process.
    if (policy.GroupAsked(source.gid, result->NeedsObject() ? policy.uid : destination.uid)) {
      result->Add(Attribute::kGroup);
    } else {
      result->skipped_owner = true;
    }
  }
  if (!policy.selection.mode) {
    const bool differs = policy.selection.executability && source.type == FileType::kRegular &&
                         WithExecutability(destination.mode, source.mode) != destination.mode;
    if (differs) result->Add(Attribute::kMode);
    return;
  }
  if (source.type == FileType::kSymlink) return;
  const uint32_t differing = (source.mode ^ destination.mode) & kAllModeBits;
  const uint32_t asked = AskedModeBits(source, destination, policy);
  if ((differing & asked) != 0) result->Add(Attribute::kMode);
  if ((differing & ~asked) != 0 && !policy.can_chown) result->skipped_owner = true;
}

void CompareXattrs(const Entry& source, const Entry& destination, const ComparePolicy& policy, Differences* result) {
  if (AnyXattrSelected(policy.selection) && source.xattr_digest != destination.xattr_digest)
    result->Add(Attribute::kXattrs);
  if (!policy.selection.xattrs) return;
  if (source.capability_digest != destination.capability_digest) {
    if (policy.CapabilitiesAsked()) {
      result->Add(Attribute::kCapabilities);
    } else {
      result->skipped_xattrs = true;
    }
  }
  if (source.trusted_digest != destination.trusted_digest) {
    if (policy.TrustedAsked()) {
      result->Add(Attribute::kTrusted);
    } else {
      result->skipped_xattrs = true;
    }
  }
}

}  // namespace

Differences Differences::FromMask(uint32_t mask) {
  Differences result;
  result.mask_ = mask;
  return result;
}

bool Differences::NeedsObject() const {
  constexpr uint32_t kObject = Bit(Attribute::kExistence) | Bit(Attribute::kType) | Bit(Attribute::kSize) |
                               Bit(Attribute::kContent) | Bit(Attribute::kTarget) | Bit(Attribute::kDeviceNumber) |
                               Bit(Attribute::kAssumed);
  return (mask_ & kObject) != 0;
}

bool Differences::NeedsXattrs() const {
  constexpr uint32_t kAttributes = Bit(Attribute::kXattrs) | Bit(Attribute::kCapabilities) | Bit(Attribute::kTrusted);
  return (mask_ & kAttributes) != 0;
}

ComparePolicy ComparePolicy::For(const MetadataSelection& selection, bool checksum, const SessionOpened& opened) {
  ComparePolicy policy;
  policy.selection = selection;
  policy.checksum = checksum;
  policy.can_chown = opened.can_chown;
  policy.can_set_capabilities = opened.can_set_capabilities;
  policy.can_set_trusted = opened.can_set_trusted;
  policy.uid = opened.uid;
  policy.groups = opened.groups;
  std::sort(policy.groups.begin(), policy.groups.end());
  policy.time_range = opened.time_range;
  policy.time_granularity_ns = std::max<uint32_t>(opened.time_granularity_ns, 1);
  return policy;
}

bool ComparePolicy::GroupAsked(uint32_t source_gid, uint32_t destination_uid) const {
  if (!selection.group) return false;
  if (can_chown || selection.explicit_owner) return true;
  return destination_uid == uid && std::binary_search(groups.begin(), groups.end(), source_gid);
}

bool ComparePolicy::SameKeptTime(const FileTime& a, const FileTime& b) const {
  const FileTime kept_a = time_range.Clamp(a);
  const FileTime kept_b = time_range.Clamp(b);
  return SameTime(kept_a, kept_b, time_granularity_ns) || selection.WithinWindow(kept_a, kept_b);
}

uint32_t AskedModeBits(const Entry& source, const Entry& destination, const ComparePolicy& policy) {
  uint32_t asked = kAllModeBits;
  if (source.uid != destination.uid && !policy.OwnerAsked()) asked &= ~kSetuid;
  const bool group_asked = policy.GroupAsked(source.gid, destination.uid);
  const uint32_t gid = group_asked ? source.gid : destination.gid;
  if (source.type == FileType::kDirectory) {
    const bool kernel_keeps = policy.can_chown || std::binary_search(policy.groups.begin(), policy.groups.end(), gid);
    if (!kernel_keeps) asked &= ~kSetgid;
  } else if (gid != source.gid) {
    asked &= ~kSetgid;
  }
  return asked;
}

bool SameTime(const FileTime& a, const FileTime& b, uint32_t granularity_ns) {
  return a == b || TruncateTime(a, granularity_ns) == TruncateTime(b, granularity_ns);
}

Differences Compare(const Entry& source, const Entry& destination, const ComparePolicy& policy) {
  Differences result;
  if (source.type != destination.type) {
    result = CompareMissing(source, policy);
    Differences typed = Differences::FromMask(Bit(Attribute::kType));
    typed.skipped_owner = result.skipped_owner;
    typed.skipped_xattrs = result.skipped_xattrs;
    return typed;
  }
  if (source.type == FileType::kRegular) {
    CompareFileContents(source, destination, policy, &result);
  } else {
    if (source.type == FileType::kSymlink && source.symlink_target != destination.symlink_target) {
      result.Add(Attribute::kTarget);
    }
    if (IsDevice(source.type) &&
        (source.rdev_major != destination.rdev_major || source.rdev_minor != destination.rdev_minor)) {
      result.Add(Attribute::kDeviceNumber);
    }
    if (policy.selection.KeepsTime(source.type) && !policy.SameKeptTime(source.mtime, destination.mtime)) {
      result.Add(Attribute::kMtime);
    }
  }
  if (policy.selection.atime && source.atime && destination.atime &&
      !policy.SameKeptTime(*source.atime, *destination.atime)) {
    result.Add(Attribute::kAtime);
  }
  CompareOwnership(source, destination, policy, &result);
  CompareXattrs(source, destination, policy, &result);
  return result;
}

Differences CompareMissing(const Entry& source, const ComparePolicy& policy) {
  Differences result = Differences::FromMask(Bit(Attribute::kExistence));
  // What is made anew belongs to the process.
  if (policy.selection.owner && !policy.OwnerAsked() && source.uid != policy.uid) result.skipped_owner = true;
  if (policy.selection.group && !policy.GroupAsked(source.gid, policy.uid)) result.skipped_owner = true;
  if (policy.selection.xattrs) {
    const bool capabilities_left_out = !source.capability_digest.is_zero() && !policy.CapabilitiesAsked();
    const bool trusted_left_out = !source.trusted_digest.is_zero() && !policy.TrustedAsked();
    result.skipped_xattrs = capabilities_left_out || trusted_left_out;
  }
  return result;
}

std::vector<std::string> DifferenceNames(const Differences& differences) {
  std::vector<std::string> names;
  for (const auto& [attribute, name] : kNames) {
    if (differences.Has(attribute)) names.emplace_back(name);
  }
  if (names.empty() && differences.Has(Attribute::kAssumed)) names.emplace_back("unchecked");
  return names;
}

}  // namespace uringsync
