#include "engine/tree/listing_digest.h"

#include <algorithm>
#include <span>

namespace uringsync {
namespace {

// Which parts follow the fixed ones.
enum Part : uint8_t {
  kAtime = 1,
  kTarget = 2,
  kDevice = 4,
  kXattrs = 8,
  kCapabilities = 16,
  kTrusted = 32,
};

// What is digested in one piece, at least.
constexpr size_t kBlockBytes = size_t{1} << 20;

// The part of a record that every entry has. Fixed widths, little-endian, no padding.
struct FixedPart {
  int64_t mtime_seconds = 0;
  uint64_t size_bytes = 0;
  uint32_t mtime_nanoseconds = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint16_t name_bytes = 0;
  uint8_t type = 0;
  uint8_t parts = 0;
  uint32_t zero = 0;
};
static_assert(sizeof(FixedPart) == 40);

template <typename T>
void Append(const T& value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

constexpr uint32_t kExecute = 0111;
constexpr uint32_t kSecond = 1'000'000'000;

FileTime KeptTime(const FileTime& time, const DigestRules& rules) {
  return TruncateTime(rules.time_range.Clamp(time), rules.time_granularity_ns);
}

// As far as it is compared: where a window is given, equal seconds are equal times (and digests prove equality only).
FileTime ComparedTime(const FileTime& time, const DigestRules& rules) {
  const FileTime kept = KeptTime(time, rules);
  return rules.selection.modify_window_s ? TruncateTime(kept, std::max(kSecond, rules.time_granularity_ns)) : kept;
}

bool IsDevice(const Entry& entry) {
  return entry.type == FileType::kBlockDevice || entry.type == FileType::kCharDevice;
}

uint8_t PartsOf(const Entry& entry, const MetadataSelection& selection) {
  unsigned parts = 0;
  if (selection.atime && entry.atime) parts |= kAtime;
  if (entry.type == FileType::kSymlink) parts |= kTarget;
  if (IsDevice(entry)) parts |= kDevice;
  if (!entry.xattr_digest.is_zero()) parts |= kXattrs;
  if (!entry.capability_digest.is_zero()) parts |= kCapabilities;
  if (!entry.trusted_digest.is_zero()) parts |= kTrusted;
  return static_cast<uint8_t>(parts);
}

}  // namespace

bool CanFold(const Entry& entry) {
  return entry.type != FileType::kDirectory && entry.nlink == 1 && entry.error == 0 && !entry.unsettled;
}

void AppendCanonical(const Entry& entry, const DigestRules& rules, std::string* out) {
  const MetadataSelection& selection = rules.selection;
  FixedPart fixed;
  fixed.type = static_cast<uint8_t>(entry.type);
  fixed.name_bytes = static_cast<uint16_t>(entry.name.size());
  fixed.parts = PartsOf(entry, selection);
  if (entry.type == FileType::kRegular) fixed.size_bytes = entry.size_bytes;
  // The time of a file tells its contents, whether it is kept or not.
  if (selection.KeepsTime(entry.type) || entry.type == FileType::kRegular) {
    const FileTime mtime = ComparedTime(entry.mtime, rules);
    fixed.mtime_seconds = mtime.seconds;
    fixed.mtime_nanoseconds = mtime.nanoseconds;
  }
  if (selection.mode && entry.type != FileType::kSymlink) fixed.mode = entry.mode;
  if (!selection.mode && selection.executability && entry.type == FileType::kRegular)
    fixed.mode = entry.mode & kExecute ? 1 : 0;
  if (selection.owner) fixed.uid = entry.uid;
  if (selection.group) fixed.gid = entry.gid;
  Append(fixed, out);
  *out += entry.name;
  if (fixed.parts == 0) return;
  if ((fixed.parts & kAtime) != 0) {
    const FileTime atime = KeptTime(*entry.atime, rules);
    Append(atime.seconds, out);
    Append(atime.nanoseconds, out);
  }
  if ((fixed.parts & kTarget) != 0) {
    Append(static_cast<uint32_t>(entry.symlink_target.size()), out);
    *out += entry.symlink_target;
  }
  if ((fixed.parts & kDevice) != 0) {
    Append(entry.rdev_major, out);
    Append(entry.rdev_minor, out);
  }
  if ((fixed.parts & kXattrs) != 0) Append(entry.xattr_digest, out);
  if ((fixed.parts & kCapabilities) != 0) Append(entry.capability_digest, out);
  if ((fixed.parts & kTrusted) != 0) Append(entry.trusted_digest, out);
}

ListingDigester::ListingDigester(DigestRules rules) : rules_(std::move(rules)) {
  if (rules_.selection.digest_key) keyed_ = std::make_unique<LeafHasher>(*rules_.selection.digest_key);
}

Digest128 ListingDigester::Digest() {
  if (keyed_ == nullptr) return Xxh128(canonical_, rules_.seed);
  return KeyedDigest(keyed_.get(), DigestDomain::kListing, std::as_bytes(std::span(canonical_)));
}

void ListingDigester::Begin() {
  canonical_.clear();
  folded_ = FoldedEntries();
}

bool ListingDigester::Add(const Entry& entry) {
  if (!CanFold(entry)) return false;
  AppendCanonical(entry, rules_, &canonical_);
  if (canonical_.size() >= kBlockBytes) {
    // Huge directories: the digest so far begins the next block. Where blocks end follows from the entries alone.
    const Digest128 so_far = Digest();
    canonical_.clear();
    Append(so_far, &canonical_);
  }
  ++folded_.entries;
  if (entry.type == FileType::kRegular) {
    ++folded_.files;
    folded_.bytes += entry.size_bytes;
  }
  return true;
}

FoldedEntries ListingDigester::Finish() {
  folded_.digest = Digest();
  return folded_;
}

}  // namespace uringsync
