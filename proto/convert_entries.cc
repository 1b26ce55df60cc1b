#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_tables.h"

namespace uringsync::convert_internal {
namespace {

constexpr uint32_t kNanosecondsPerSecond = 1'000'000'000;
constexpr uint64_t kMaxSize = uint64_t{1} << 63;

void AddDigest(v1::SparseDigests* digests, size_t row, const Digest128& digest) {
  digests->add_rows(static_cast<uint32_t>(row));
  digests->add_words(digest.low);
  digests->add_words(digest.high);
}

bool IsDevice(const Entry& entry) {
  return entry.type == FileType::kBlockDevice || entry.type == FileType::kCharDevice;
}

// Attributes that most rows lack.
void EncodeRareAttributes(const Entry& entry, size_t row, v1::EntryTable* table) {
  const uint32_t row_number = static_cast<uint32_t>(row);
  if (entry.atime) {
    table->add_atime_rows(row_number);
    table->add_atime_seconds(entry.atime->seconds);
    table->add_atime_nanoseconds(entry.atime->nanoseconds);
  }
  if (IsDevice(entry) && (entry.rdev_major != 0 || entry.rdev_minor != 0)) {
    table->add_device_rows(row_number);
    table->add_rdev_majors(entry.rdev_major);
    table->add_rdev_minors(entry.rdev_minor);
  }
  if (entry.type == FileType::kSymlink && !entry.symlink_target.empty()) {
    table->add_symlink_rows(row_number);
    AddString(table->mutable_symlink_targets(), entry.symlink_target);
  }
  if (!entry.xattr_digest.is_zero()) AddDigest(table->mutable_xattr_digests(), row, entry.xattr_digest);
  if (!entry.capability_digest.is_zero()) AddDigest(table->mutable_capability_digests(), row, entry.capability_digest);
  if (!entry.trusted_digest.is_zero()) AddDigest(table->mutable_trusted_digests(), row, entry.trusted_digest);
  if (entry.content_digest) AddDigest(table->mutable_content_digests(), row, *entry.content_digest);
  if (entry.proof != nullptr) {
    table->add_proof_rows(row_number);
    for (const Sha256Digest* digest : {&entry.proof->attributes, &entry.proof->contents})
      table->mutable_proofs()->append(reinterpret_cast<const char*>(digest->data()), digest->size());
  }
  if (entry.error != 0) {
    table->add_error_rows(row_number);
    table->add_errors(static_cast<uint32_t>(entry.error));
  }
  if (entry.not_entered) table->add_not_entered_rows(row_number);
  if (entry.unsettled) table->add_unsettled_rows(row_number);
  if (entry.pruned) table->add_pruned_rows(row_number);
  if (entry.implied) table->add_implied_rows(row_number);
  if (entry.directory_link) table->add_directory_link_rows(row_number);
  if (entry.protection == Protection::kAlways) table->add_protected_rows(row_number);
  if (entry.protection == Protection::kUnlessParentGoes) table->add_perishable_rows(row_number);
}

// The plain columns of a table.
struct Columns {
  Column<uint32_t> modes, uids, gids, mtime_nanoseconds, ctime_nanoseconds;
  Column<uint64_t> sizes, nlinks, devices, inodes, allocated_bytes;
  Column<int64_t> mtime_seconds, ctime_seconds;

  absl::Status Init(const v1::EntryTable& table, size_t rows, std::string_view where) {
    US_RETURN_IF_ERROR(modes.Init(table.modes(), rows, {where, "modes"}));
    US_RETURN_IF_ERROR(uids.Init(table.uids(), rows, {where, "uids"}));
    US_RETURN_IF_ERROR(gids.Init(table.gids(), rows, {where, "gids"}));
    US_RETURN_IF_ERROR(sizes.Init(table.sizes(), rows, {where, "sizes"}));
    US_RETURN_IF_ERROR(mtime_seconds.Init(table.mtime_seconds(), rows, {where, "mtime_seconds"}));
    US_RETURN_IF_ERROR(mtime_nanoseconds.Init(table.mtime_nanoseconds(), rows, {where, "mtime_nanoseconds"}));
    US_RETURN_IF_ERROR(ctime_seconds.Init(table.ctime_seconds(), rows, {where, "ctime_seconds"}));
    US_RETURN_IF_ERROR(ctime_nanoseconds.Init(table.ctime_nanoseconds(), rows, {where, "ctime_nanoseconds"}));
    US_RETURN_IF_ERROR(nlinks.Init(table.nlinks(), rows, {where, "nlinks"}));
    US_RETURN_IF_ERROR(devices.Init(table.devices(), rows, {where, "devices"}));
    US_RETURN_IF_ERROR(inodes.Init(table.inodes(), rows, {where, "inodes"}));
    return allocated_bytes.Init(table.allocated_bytes(), rows, {where, "allocated_bytes"});
  }

  absl::Status Fill(size_t row, std::string_view where, Entry* entry) const {
    const uint32_t mode = modes[row];
    const std::optional<FileType> type = FileTypeFromMode(mode);
    if (!type || (mode & ~uint32_t{S_IFMT | 07777}) != 0) {
      return Bad({where, "modes"}, row, std::to_string(mode) + " is no file type with permissions");
    }
    entry->type = *type;
    entry->mode = mode & 07777;
    entry->uid = uids[row];
    entry->gid = gids[row];
    entry->size_bytes = sizes[row];
    if (entry->size_bytes >= kMaxSize)
      return Bad({where, "sizes"}, row, std::to_string(entry->size_bytes) + " is not below 2^63");
    entry->mtime = {mtime_seconds[row], mtime_nanoseconds[row]};
    if (entry->mtime.nanoseconds >= kNanosecondsPerSecond) {
      return Bad({where, "mtime_nanoseconds"}, row, std::to_string(entry->mtime.nanoseconds) + " is not below 1e9");
    }
    entry->ctime = {ctime_seconds[row], ctime_nanoseconds[row]};
    if (entry->ctime.nanoseconds >= kNanosecondsPerSecond) {
      return Bad({where, "ctime_nanoseconds"}, row, std::to_string(entry->ctime.nanoseconds) + " is not below 1e9");
    }
    entry->nlink = nlinks[row];
    entry->id = {devices[row], inodes[row]};
    entry->allocated_bytes = allocated_bytes[row];
    if (entry->allocated_bytes >= kMaxSize) {
      return Bad({where, "allocated_bytes"}, row, std::to_string(entry->allocated_bytes) + " is not below 2^63");
    }
    return absl::OkStatus();
  }
};

// Applies `digests` through `set(entry, digest)`.
template <typename Set>
absl::Status DecodeDigests(const v1::SparseDigests& digests, std::span<Entry* const> entries, Where where, Set set) {
  US_RETURN_IF_ERROR(CheckRows(digests.rows(), entries.size(), where));
  US_RETURN_IF_ERROR(CheckCount(where, static_cast<size_t>(digests.words_size()), size_t{2} * digests.rows_size()));
  for (int i = 0; i < digests.rows_size(); ++i) {
    set(entries[digests.rows(i)], Digest128{digests.words(2 * i), digests.words(2 * i + 1)});
  }
  return absl::OkStatus();
}

absl::Status DecodeAllDigests(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where) {
  US_RETURN_IF_ERROR(DecodeDigests(table.xattr_digests(), entries, {where, "xattr_digests"},
                                   [](Entry* entry, const Digest128& digest) { entry->xattr_digest = digest; }));
  US_RETURN_IF_ERROR(DecodeDigests(table.capability_digests(), entries, {where, "capability_digests"},
                                   [](Entry* entry, const Digest128& digest) { entry->capability_digest = digest; }));
  US_RETURN_IF_ERROR(DecodeDigests(table.trusted_digests(), entries, {where, "trusted_digests"},
                                   [](Entry* entry, const Digest128& digest) { entry->trusted_digest = digest; }));
  US_RETURN_IF_ERROR(DecodeDigests(table.content_digests(), entries, {where, "content_digests"},
                                   [](Entry* entry, const Digest128& digest) { entry->content_digest = digest; }));
  for (const uint32_t row : table.content_digests().rows()) {
    if (entries[row]->type != FileType::kRegular) {
      return Bad({where, "content_digests"}, row,
                 std::string("a ") + FileTypeName(entries[row]->type) + " has no contents");
    }
  }
  return absl::OkStatus();
}

absl::Status DecodeProofs(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where) {
  constexpr size_t kProofBytes = sizeof(EntryProof);
  US_RETURN_IF_ERROR(CheckRows(table.proof_rows(), entries.size(), {where, "proof_rows"}));
  US_RETURN_IF_ERROR(
      CheckCount({where, "proofs"}, table.proofs().size(), kProofBytes * static_cast<size_t>(table.proof_rows_size())));
  for (int i = 0; i < table.proof_rows_size(); ++i) {
    Entry* const entry = entries[table.proof_rows(i)];
    auto proof = std::make_shared<EntryProof>();
    const char* const from = table.proofs().data() + kProofBytes * static_cast<size_t>(i);
    std::copy_n(from, proof->attributes.size(), proof->attributes.begin());
    std::copy_n(from + proof->attributes.size(), proof->contents.size(), proof->contents.begin());
    if (entry->type != FileType::kRegular && proof->contents != Sha256Digest{}) {
      return Bad({where, "proofs"}, static_cast<size_t>(i),
                 std::string("a ") + FileTypeName(entry->type) + " has no contents");
    }
    entry->proof = std::move(proof);
  }
  return absl::OkStatus();
}

absl::Status DecodeAtimes(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where) {
  const size_t count = static_cast<size_t>(table.atime_rows_size());
  US_RETURN_IF_ERROR(CheckRows(table.atime_rows(), entries.size(), {where, "atime_rows"}));
  US_RETURN_IF_ERROR(CheckCount({where, "atime_seconds"}, static_cast<size_t>(table.atime_seconds_size()), count));
  US_RETURN_IF_ERROR(
      CheckCount({where, "atime_nanoseconds"}, static_cast<size_t>(table.atime_nanoseconds_size()), count));
  for (int i = 0; i < table.atime_rows_size(); ++i) {
    const FileTime atime{table.atime_seconds(i), table.atime_nanoseconds(i)};
    if (atime.nanoseconds >= kNanosecondsPerSecond) {
      return Bad({where, "atime_nanoseconds"}, static_cast<size_t>(i),
                 std::to_string(atime.nanoseconds) + " is not below 1e9");
    }
    entries[table.atime_rows(i)]->atime = atime;
  }
  return absl::OkStatus();
}

absl::Status DecodeDevices(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where) {
  const size_t count = static_cast<size_t>(table.device_rows_size());
  US_RETURN_IF_ERROR(CheckRows(table.device_rows(), entries.size(), {where, "device_rows"}));
  US_RETURN_IF_ERROR(CheckCount({where, "rdev_majors"}, static_cast<size_t>(table.rdev_majors_size()), count));
  US_RETURN_IF_ERROR(CheckCount({where, "rdev_minors"}, static_cast<size_t>(table.rdev_minors_size()), count));
  for (int i = 0; i < table.device_rows_size(); ++i) {
    Entry* entry = entries[table.device_rows(i)];
    if (!IsDevice(*entry)) {
      return Bad({where, "device_rows"}, static_cast<size_t>(i),
                 std::string("a ") + FileTypeName(entry->type) + " is no device");
    }
    entry->rdev_major = table.rdev_majors(i);
    entry->rdev_minor = table.rdev_minors(i);
  }
  return absl::OkStatus();
}

absl::Status DecodeProtection(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where) {
  US_RETURN_IF_ERROR(CheckRows(table.protected_rows(), entries.size(), {where, "protected_rows"}));
  for (const uint32_t row : table.protected_rows()) entries[row]->protection = Protection::kAlways;
  US_RETURN_IF_ERROR(CheckRows(table.perishable_rows(), entries.size(), {where, "perishable_rows"}));
  for (const uint32_t row : table.perishable_rows()) {
    if (entries[row]->protection != Protection::kNone) return Bad({where, "perishable_rows"}, row, "is protected, too");
    entries[row]->protection = Protection::kUnlessParentGoes;
  }
  return absl::OkStatus();
}

absl::Status DecodeErrors(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where) {
  US_RETURN_IF_ERROR(CheckRows(table.error_rows(), entries.size(), {where, "error_rows"}));
  US_RETURN_IF_ERROR(CheckCount({where, "errors"}, static_cast<size_t>(table.errors_size()),
                                static_cast<size_t>(table.error_rows_size())));
  for (int i = 0; i < table.error_rows_size(); ++i) {
    const uint32_t error = table.errors(i);
    if (error == 0 || error > kMaxErrno) {
      return Bad({where, "errors"}, static_cast<size_t>(i), std::to_string(error) + " is no errno");
    }
    entries[table.error_rows(i)]->error = static_cast<int>(error);
  }
  US_RETURN_IF_ERROR(CheckRows(table.not_entered_rows(), entries.size(), {where, "not_entered_rows"}));
  for (const uint32_t row : table.not_entered_rows()) {
    if (entries[row]->type != FileType::kDirectory) return Bad({where, "not_entered_rows"}, row, "is no directory");
    entries[row]->not_entered = true;
  }
  US_RETURN_IF_ERROR(CheckRows(table.unsettled_rows(), entries.size(), {where, "unsettled_rows"}));
  for (const uint32_t row : table.unsettled_rows()) entries[row]->unsettled = true;
  US_RETURN_IF_ERROR(CheckRows(table.pruned_rows(), entries.size(), {where, "pruned_rows"}));
  for (const uint32_t row : table.pruned_rows()) {
    if (entries[row]->type != FileType::kDirectory) return Bad({where, "pruned_rows"}, row, "is no directory");
    entries[row]->pruned = true;
  }
  US_RETURN_IF_ERROR(CheckRows(table.implied_rows(), entries.size(), {where, "implied_rows"}));
  for (const uint32_t row : table.implied_rows()) {
    if (entries[row]->type != FileType::kDirectory) return Bad({where, "implied_rows"}, row, "is no directory");
    entries[row]->implied = true;
  }
  US_RETURN_IF_ERROR(CheckRows(table.directory_link_rows(), entries.size(), {where, "directory_link_rows"}));
  for (const uint32_t row : table.directory_link_rows()) {
    if (entries[row]->type != FileType::kSymlink) return Bad({where, "directory_link_rows"}, row, "is no symlink");
    entries[row]->directory_link = true;
  }
  return DecodeProtection(table, entries, where);
}

// After DecodeErrors: a symlink needs its target unless looking at it failed.
absl::Status DecodeTargets(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where) {
  const Where field{where, "symlink_targets"};
  US_RETURN_IF_ERROR(CheckRows(table.symlink_rows(), entries.size(), {where, "symlink_rows"}));
  StringsReader targets;
  US_RETURN_IF_ERROR(targets.Init(table.symlink_targets(), static_cast<size_t>(table.symlink_rows_size()),
                                  kMaxSymlinkTargetBytes, field));
  for (int i = 0; i < table.symlink_rows_size(); ++i) {
    Entry* entry = entries[table.symlink_rows(i)];
    const std::string_view target = targets.Next();
    if (entry->type != FileType::kSymlink) {
      return Bad({where, "symlink_rows"}, static_cast<size_t>(i),
                 std::string("a ") + FileTypeName(entry->type) + " has no target");
    }
    if (target.empty()) return Bad(field, static_cast<size_t>(i), "empty target");
    if (target.find('\0') != std::string_view::npos) {
      return Bad(field, static_cast<size_t>(i), "target contains NUL: " + Quoted(target));
    }
    entry->symlink_target.assign(target);
  }
  for (size_t row = 0; row < entries.size(); ++row) {
    const Entry& entry = *entries[row];
    if (entry.type == FileType::kSymlink && entry.symlink_target.empty() && entry.error == 0) {
      return Bad({where, "symlink_rows"}, row, "a symlink without target and without error");
    }
  }
  return absl::OkStatus();
}

}  // namespace

void EncodeEntries(std::span<const Entry* const> entries, v1::EntryTable* table) {
  const size_t rows = entries.size();
  WriteColumn(table->mutable_modes(), rows,
              [&](size_t i) { return FileTypeToMode(entries[i]->type) | entries[i]->mode; });
  WriteColumn(table->mutable_uids(), rows, [&](size_t i) { return entries[i]->uid; });
  WriteColumn(table->mutable_gids(), rows, [&](size_t i) { return entries[i]->gid; });
  WriteColumn(table->mutable_sizes(), rows, [&](size_t i) { return entries[i]->size_bytes; });
  WriteColumn(table->mutable_mtime_seconds(), rows, [&](size_t i) { return entries[i]->mtime.seconds; });
  WriteColumn(table->mutable_mtime_nanoseconds(), rows, [&](size_t i) { return entries[i]->mtime.nanoseconds; });
  WriteColumn(table->mutable_ctime_seconds(), rows, [&](size_t i) { return entries[i]->ctime.seconds; });
  WriteColumn(table->mutable_ctime_nanoseconds(), rows, [&](size_t i) { return entries[i]->ctime.nanoseconds; });
  WriteColumn(table->mutable_nlinks(), rows, [&](size_t i) { return entries[i]->nlink; });
  WriteColumn(table->mutable_devices(), rows, [&](size_t i) { return entries[i]->id.device; });
  WriteColumn(table->mutable_inodes(), rows, [&](size_t i) { return entries[i]->id.inode; });
  WriteColumn(table->mutable_allocated_bytes(), rows, [&](size_t i) { return entries[i]->allocated_bytes; });
  for (size_t row = 0; row < rows; ++row) EncodeRareAttributes(*entries[row], row, table);
}

absl::Status DecodeEntries(const v1::EntryTable& table, std::span<Entry* const> entries, std::string_view where) {
  Columns columns;
  US_RETURN_IF_ERROR(columns.Init(table, entries.size(), where));
  for (size_t row = 0; row < entries.size(); ++row) US_RETURN_IF_ERROR(columns.Fill(row, where, entries[row]));
  US_RETURN_IF_ERROR(DecodeAtimes(table, entries, where));
  US_RETURN_IF_ERROR(DecodeDevices(table, entries, where));
  US_RETURN_IF_ERROR(DecodeAllDigests(table, entries, where));
  US_RETURN_IF_ERROR(DecodeProofs(table, entries, where));
  US_RETURN_IF_ERROR(DecodeErrors(table, entries, where));
  return DecodeTargets(table, entries, where);
}

}  // namespace uringsync::convert_internal
