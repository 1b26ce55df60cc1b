#include "coordinator/core/pending_directories.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/spool.h"

namespace uringsync {
namespace {

// Bit beside a record's plan.
constexpr uint8_t kByLink = 0x80;
// Bytes read from the file at once: about a thousand names.
constexpr size_t kWindowBytes = size_t{64} << 10;
constexpr size_t kLengthBytes = 4;

}  // namespace

absl::Status SpillStack::Append(std::string_view bytes) {
  memory_.append(bytes);
  if (memory_.size() <= memory_bytes_) return absl::OkStatus();
  // The older half goes: the younger one is what is read and cut off next.
  const size_t moved = memory_.size() / 2;
  if (!file_.valid()) {
    US_ASSIGN_OR_RETURN(file_, OpenScratchFile(driver_, directory_));
  }
  US_RETURN_IF_ERROR(WriteScratch(driver_, file_.get(), std::string_view(memory_).substr(0, moved), base_));
  base_ += moved;
  memory_.erase(0, moved);
  return absl::OkStatus();
}

absl::Status SpillStack::ReadFile(uint64_t offset, size_t bytes, std::string* out) {
  if (offset < window_offset_ || offset + bytes > window_offset_ + window_.size()) {
    window_.resize(std::max<size_t>(bytes, std::min<uint64_t>(kWindowBytes, base_ - offset)));
    window_offset_ = offset;
    US_RETURN_IF_ERROR(ReadScratch(driver_, file_.get(), window_.data(), window_.size(), offset));
  }
  out->append(window_, offset - window_offset_, bytes);
  return absl::OkStatus();
}

absl::Status SpillStack::Read(uint64_t offset, size_t bytes, std::string* out) {
  out->clear();
  if (offset < base_) {
    const size_t from_file = std::min<uint64_t>(bytes, base_ - offset);
    US_RETURN_IF_ERROR(ReadFile(offset, from_file, out));
    offset += from_file;
    bytes -= from_file;
  }
  if (bytes > 0) out->append(memory_, offset - base_, bytes);
  return absl::OkStatus();
}

void SpillStack::Truncate(uint64_t size) {
  if (size >= base_) {
    memory_.resize(size - base_);
    return;
  }
  memory_.clear();
  base_ = size;
  // What lies there will be written again with other bytes.
  if (window_offset_ + window_.size() > base_) {
    if (window_offset_ >= base_) {
      window_.clear();
    } else {
      window_.resize(base_ - window_offset_);
    }
  }
}

absl::Status PendingDirectories::Add(const PendingDirectory& directory) {
  writer_.Clear();
  writer_.PutBytes(directory.name);
  writer_.PutByte(static_cast<uint8_t>(static_cast<uint8_t>(directory.plan) | (directory.by_link ? kByLink : 0)));
  writer_.PutByte(
      static_cast<uint8_t>(static_cast<uint8_t>(directory.source) << 4 | static_cast<uint8_t>(directory.destination)));
  writer_.PutOptionalEntry(AddressOrNull(directory.source_entry));
  writer_.PutOptionalEntry(AddressOrNull(directory.destination_entry));
  writer_.PutBasis(directory.basis ? &directory.basis->basis : nullptr);
  if (directory.basis) {
    writer_.PutByte(static_cast<uint8_t>(directory.basis->level));
    writer_.PutDifferences(directory.basis->differences);
  }
  const auto length = static_cast<uint32_t>(writer_.bytes().size());
  US_RETURN_IF_ERROR(stack_.Append(std::string_view(reinterpret_cast<const char*>(&length), kLengthBytes)));
  US_RETURN_IF_ERROR(stack_.Append(writer_.bytes()));
  levels_.back().end = stack_.size();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<PendingDirectory>> PendingDirectories::Next() {
  Level& level = levels_.back();
  if (level.position == level.end) return std::optional<PendingDirectory>();
  uint32_t length = 0;
  US_RETURN_IF_ERROR(stack_.Read(level.position, kLengthBytes, &record_));
  std::copy_n(record_.data(), kLengthBytes, reinterpret_cast<char*>(&length));
  if (level.position + kLengthBytes + length > level.end) return DamagedSpool();
  US_RETURN_IF_ERROR(stack_.Read(level.position + kLengthBytes, length, &record_));
  level.position += kLengthBytes + length;
  RecordReader reader(record_);
  PendingDirectory directory;
  directory.name = reader.GetBytes();
  const uint8_t plan = reader.GetByte();
  directory.by_link = (plan & kByLink) != 0;
  directory.plan = static_cast<DirectoryPlan>(plan & ~kByLink);
  const uint8_t expect = reader.GetByte();
  directory.source = static_cast<Expect>(expect >> 4);
  directory.destination = static_cast<Expect>(expect & 0xf);
  directory.source_entry = reader.GetOptionalEntry();
  directory.destination_entry = reader.GetOptionalEntry();
  if (std::optional<ActionBasis> basis = reader.GetBasis()) {
    directory.basis.emplace();
    directory.basis->basis = *std::move(basis);
    directory.basis->level = static_cast<BasisMatch::Level>(reader.GetByte());
    directory.basis->differences = reader.GetDifferences();
  }
  if (!reader.ok()) return DamagedSpool();
  return std::optional<PendingDirectory>(std::move(directory));
}

void PendingDirectories::PopLevel() {
  stack_.Truncate(levels_.back().begin);
  levels_.pop_back();
}

}  // namespace uringsync
