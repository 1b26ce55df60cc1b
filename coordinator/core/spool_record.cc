#include "coordinator/core/spool_record.h"

namespace uringsync {
namespace {

// Presence bits of an encoded Entry.
enum EntryBits : uint64_t {
  kHasAtime = 1 << 0,
  kHasDevice = 1 << 1,
  kHasXattrs = 1 << 2,
  kHasCapabilities = 1 << 3,
  kHasTrusted = 1 << 4,
  kHasContent = 1 << 5,
  kNotEntered = 1 << 6,
  kHasError = 1 << 7,
  kPruned = 1 << 8,
  kUnsettled = 1 << 9,
  kImplied = 1 << 10,
  kMapped = 1 << 11,
};

}  // namespace

void RecordWriter::PutNumber(uint64_t value) {
  while (value >= 0x80) {
    PutByte(static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  PutByte(static_cast<uint8_t>(value));
}

void RecordWriter::PutKey(uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) PutByte(static_cast<uint8_t>(value >> shift));
}

void RecordWriter::PutBytes(std::string_view value) {
  PutNumber(value.size());
  bytes_.append(value);
}

void RecordWriter::PutTime(const FileTime& time) {
  // Zigzag: times before 1970 are rare but legal.
  const auto seconds = static_cast<uint64_t>(time.seconds);
  PutNumber((seconds << 1) ^ (time.seconds < 0 ? ~uint64_t{0} : 0));
  PutNumber(time.nanoseconds);
}

void RecordWriter::PutDigest(const Digest128& digest) {
  PutKey(digest.high);
  PutKey(digest.low);
}

void RecordWriter::PutEntry(const Entry& entry) {
  const bool device = entry.rdev_major != 0 || entry.rdev_minor != 0;
  PutByte(static_cast<uint8_t>(entry.type));
  PutNumber((entry.atime ? kHasAtime : 0) | (device ? kHasDevice : 0) |
            (entry.xattr_digest.is_zero() ? 0 : kHasXattrs) |
            (entry.capability_digest.is_zero() ? 0 : kHasCapabilities) |
            (entry.trusted_digest.is_zero() ? 0 : kHasTrusted) | (entry.content_digest ? kHasContent : 0) |
            (entry.not_entered ? kNotEntered : 0) | (entry.error != 0 ? kHasError : 0) | (entry.pruned ? kPruned : 0) |
            (entry.unsettled ? kUnsettled : 0) | (entry.implied ? kImplied : 0) | (entry.mapped_from ? kMapped : 0));
  PutBytes(entry.name);
  PutNumber(entry.mode);
  PutNumber(entry.uid);
  PutNumber(entry.gid);
  PutNumber(entry.size_bytes);
  PutTime(entry.mtime);
  PutTime(entry.ctime);
  PutNumber(entry.nlink);
  PutNumber(entry.id.device);
  PutNumber(entry.id.inode);
  PutNumber(entry.allocated_bytes);
  PutBytes(entry.symlink_target);
  if (entry.atime) PutTime(*entry.atime);
  if (device) {
    PutNumber(entry.rdev_major);
    PutNumber(entry.rdev_minor);
  }
  if (!entry.xattr_digest.is_zero()) PutDigest(entry.xattr_digest);
  if (!entry.capability_digest.is_zero()) PutDigest(entry.capability_digest);
  if (!entry.trusted_digest.is_zero()) PutDigest(entry.trusted_digest);
  if (entry.content_digest) PutDigest(*entry.content_digest);
  if (entry.error != 0) PutNumber(static_cast<uint32_t>(entry.error));
  if (!entry.mapped_from) return;
  PutNumber(entry.mapped_from->uid);
  PutNumber(entry.mapped_from->gid);
}

void RecordWriter::PutOptionalEntry(const Entry* entry) {
  PutByte(entry ? 1 : 0);
  if (entry) PutEntry(*entry);
}

void RecordWriter::PutDifferences(const Differences& differences) {
  PutNumber(differences.mask());
  PutByte(static_cast<uint8_t>((differences.skipped_owner ? 1 : 0) | (differences.skipped_xattrs ? 2 : 0)));
}

void RecordWriter::PutAction(const Action& action) {
  PutNumber(action.id);
  PutByte(static_cast<uint8_t>(action.kind));
  PutPath(action.path);
  PutEntry(action.wanted);
  PutOptionalEntry(action.existing.get());
  PutPath(action.link_target);
  PutByte(action.xattrs_differ ? 1 : 0);
  PutBasis(action.basis.get());
  PutOrigin(action.origin.get());
}

void RecordWriter::PutBasis(const ActionBasis* basis) {
  PutByte(basis ? 1 : 0);
  if (!basis) return;
  PutNumber(basis->directory);
  PutEntry(basis->object);
}

void RecordWriter::PutOrigin(const ActionOrigin* origin) {
  PutByte(origin ? static_cast<uint8_t>(origin->fate) : 0);
  if (!origin) return;
  PutPath(origin->path);
  PutEntry(origin->object);
}

uint8_t RecordReader::GetByte() {
  if (rest_.empty()) {
    ok_ = false;
    return 0;
  }
  const auto value = static_cast<uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return value;
}

uint64_t RecordReader::GetNumber() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t byte = GetByte();
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  ok_ = false;
  return 0;
}

uint64_t RecordReader::GetKey() {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | GetByte();
  return value;
}

std::string_view RecordReader::GetBytes() {
  const uint64_t size = GetNumber();
  if (size > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const std::string_view value = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return value;
}

RelPath RecordReader::GetPath() {
  absl::StatusOr<RelPath> path = RelPath::Parse(GetBytes());
  if (path.ok()) return *std::move(path);
  ok_ = false;
  return {};
}

FileTime RecordReader::GetTime() {
  const uint64_t zigzag = GetNumber();
  FileTime time;
  time.seconds = static_cast<int64_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1));
  time.nanoseconds = static_cast<uint32_t>(GetNumber());
  return time;
}

Digest128 RecordReader::GetDigest() {
  Digest128 digest;
  digest.high = GetKey();
  digest.low = GetKey();
  return digest;
}

Entry RecordReader::GetEntry() {
  Entry entry;
  entry.type = static_cast<FileType>(GetByte());
  const uint64_t bits = GetNumber();
  entry.name = GetBytes();
  entry.mode = static_cast<uint32_t>(GetNumber());
  entry.uid = static_cast<uint32_t>(GetNumber());
  entry.gid = static_cast<uint32_t>(GetNumber());
  entry.size_bytes = GetNumber();
  entry.mtime = GetTime();
  entry.ctime = GetTime();
  entry.nlink = GetNumber();
  entry.id.device = GetNumber();
  entry.id.inode = GetNumber();
  entry.allocated_bytes = GetNumber();
  entry.symlink_target = GetBytes();
  if (bits & kHasAtime) entry.atime = GetTime();
  if (bits & kHasDevice) {
    entry.rdev_major = static_cast<uint32_t>(GetNumber());
    entry.rdev_minor = static_cast<uint32_t>(GetNumber());
  }
  if (bits & kHasXattrs) entry.xattr_digest = GetDigest();
  if (bits & kHasCapabilities) entry.capability_digest = GetDigest();
  if (bits & kHasTrusted) entry.trusted_digest = GetDigest();
  if (bits & kHasContent) entry.content_digest = GetDigest();
  if (bits & kHasError) entry.error = static_cast<int>(GetNumber());
  entry.not_entered = (bits & kNotEntered) != 0;
  entry.pruned = (bits & kPruned) != 0;
  entry.unsettled = (bits & kUnsettled) != 0;
  entry.implied = (bits & kImplied) != 0;
  if ((bits & kMapped) == 0) return entry;
  const auto uid = static_cast<uint32_t>(GetNumber());
  entry.mapped_from = OwnerIds{uid, static_cast<uint32_t>(GetNumber())};
  return entry;
}

std::optional<Entry> RecordReader::GetOptionalEntry() {
  if (GetByte() == 0) return std::nullopt;
  return GetEntry();
}

Differences RecordReader::GetDifferences() {
  Differences differences = Differences::FromMask(static_cast<uint32_t>(GetNumber()));
  const uint8_t skipped = GetByte();
  differences.skipped_owner = (skipped & 1) != 0;
  differences.skipped_xattrs = (skipped & 2) != 0;
  return differences;
}

Action RecordReader::GetAction() {
  Action action;
  action.id = GetNumber();
  action.kind = static_cast<ActionKind>(GetByte());
  action.path = GetPath();
  action.wanted = GetEntry();
  action.existing = GetOptionalEntry();
  action.link_target = GetPath();
  action.xattrs_differ = GetByte() != 0;
  action.basis = GetBasis();
  action.origin = GetOrigin();
  return action;
}

std::optional<ActionBasis> RecordReader::GetBasis() {
  if (GetByte() == 0) return std::nullopt;
  ActionBasis basis;
  basis.directory = static_cast<uint32_t>(GetNumber());
  basis.object = GetEntry();
  return basis;
}

std::optional<ActionOrigin> RecordReader::GetOrigin() {
  const uint8_t fate = GetByte();
  if (fate == 0) return std::nullopt;
  ActionOrigin origin;
  origin.fate = static_cast<ActionOrigin::Fate>(fate);
  origin.path = GetPath();
  origin.object = GetEntry();
  return origin;
}

absl::Status DamagedSpool() {
  return absl::DataLossError("a temporary file of the planner was damaged");
}

}  // namespace uringsync
