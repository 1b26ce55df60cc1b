#include "agent/resume_record.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "engine/base/digest.h"
#include "engine/fs/state_name.h"

namespace uringsync {
namespace {

constexpr std::string_view kMagic = "usresume";
constexpr uint32_t kVersion = 1;
constexpr size_t kDigestBytes = 16;
constexpr size_t kHeaderBytes = kMagic.size() + 4 + 8 + 8;
constexpr size_t kRecordHeadBytes = 4 + kDigestBytes;
constexpr uint8_t kWholeFlag = 1;
constexpr uint32_t kNanosecondsPerSecond = 1'000'000'000;

void Put(uint64_t value, size_t bytes, std::string* text) {
  for (size_t i = 0; i < bytes; ++i) text->push_back(static_cast<char>(value >> (8 * i)));
}

void PutDigest(const Digest128& digest, std::string* text) {
  Put(digest.low, 8, text);
  Put(digest.high, 8, text);
}

// Takes fields off the front of bytes; what is missing is zero, and told.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}
  uint64_t Number(size_t bytes) {
    uint64_t value = 0;
    const std::string_view taken = Bytes(bytes);
    for (size_t i = 0; i < taken.size(); ++i) value |= uint64_t{static_cast<uint8_t>(taken[i])} << (8 * i);
    return value;
  }
  Digest128 Digest() {
    Digest128 digest;
    digest.low = Number(8);
    digest.high = Number(8);
    return digest;
  }
  std::string_view Bytes(size_t bytes) {
    if (bytes > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  std::string_view rest() const { return rest_; }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

uint64_t SeedOf(const ResumeHeader& header) {
  return Xxh128(std::string_view(header.Text()).substr(0, kHeaderBytes)).low;
}

std::optional<ResumeHeader> TakeHeader(Fields* from) {
  const std::string_view head = from->rest().substr(0, kHeaderBytes);
  if (from->Bytes(kMagic.size()) != kMagic || from->Number(4) != kVersion) return std::nullopt;
  ResumeHeader header;
  header.session_tag = from->Number(8);
  header.device = from->Number(8);
  const Digest128 digest = from->Digest();
  if (!from->ok() || digest != Xxh128(head)) return std::nullopt;
  return header;
}

std::optional<ResumeEntry> EntryFrom(std::string_view payload) {
  Fields fields(payload);
  ResumeEntry entry;
  const uint64_t flags = fields.Number(1);
  entry.whole = (flags & kWholeFlag) != 0;
  entry.object.device = fields.Number(8);
  entry.object.inode = fields.Number(8);
  entry.size_bytes = fields.Number(8);
  entry.mtime.seconds = static_cast<int64_t>(fields.Number(8));
  entry.mtime.nanoseconds = static_cast<uint32_t>(fields.Number(4));
  entry.temporary = std::string(fields.Bytes(fields.Number(1)));
  const absl::StatusOr<RelPath> path = RelPath::Parse(fields.rest());
  if (!fields.ok() || !path.ok() || path->is_root()) return std::nullopt;
  entry.path = *path;
  // A journal never describes another one.
  const bool named = IsStateName(entry.temporary) && !IsJournalName(entry.temporary);
  if (!named || flags > kWholeFlag || entry.mtime.nanoseconds >= kNanosecondsPerSecond) return std::nullopt;
  return entry;
}

}  // namespace

std::string ResumeHeader::Text() const {
  std::string text(kMagic);
  Put(kVersion, 4, &text);
  Put(session_tag, 8, &text);
  Put(device, 8, &text);
  PutDigest(Xxh128(text), &text);
  return text;
}

std::string ResumeRecordText(const ResumeHeader& header, const ResumeEntry& entry) {
  std::string payload;
  Put(entry.whole ? kWholeFlag : 0, 1, &payload);
  Put(entry.object.device, 8, &payload);
  Put(entry.object.inode, 8, &payload);
  Put(entry.size_bytes, 8, &payload);
  Put(static_cast<uint64_t>(entry.mtime.seconds), 8, &payload);
  Put(entry.mtime.nanoseconds, 4, &payload);
  Put(entry.temporary.size(), 1, &payload);
  payload += entry.temporary;
  payload += entry.path.text();
  std::string text;
  Put(payload.size(), 4, &text);
  PutDigest(Xxh128(payload, SeedOf(header)), &text);
  return text + payload;
}

std::optional<ResumeContents> DecodeResumeJournal(std::string_view bytes) {
  Fields fields(bytes.substr(0, kMaxResumeJournalBytes));
  const std::optional<ResumeHeader> header = TakeHeader(&fields);
  if (!header) return std::nullopt;
  ResumeContents contents{.header = *header, .entries = {}};
  const uint64_t seed = SeedOf(*header);
  std::unordered_map<std::string, size_t> places;
  while (fields.rest().size() >= kRecordHeadBytes) {
    const uint64_t length = fields.Number(4);
    const Digest128 digest = fields.Digest();
    const std::string_view payload = fields.Bytes(length);
    if (!fields.ok() || digest != Xxh128(payload, seed)) break;
    std::optional<ResumeEntry> entry = EntryFrom(payload);
    if (!entry) break;
    const auto [place, is_new] = places.try_emplace(entry->temporary, contents.entries.size());
    if (is_new) {
      contents.entries.push_back(*std::move(entry));
    } else {
      contents.entries[place->second] = *std::move(entry);
    }
  }
  return contents;
}

}  // namespace uringsync
