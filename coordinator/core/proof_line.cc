#include "coordinator/core/proof_line.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr std::string_view kHowTo = "# Check it: uringsync verify --proof FILE DIR    Edited by hand it is refused.\n";
constexpr std::string_view kNoDigest = "-";
constexpr uint32_t kNanosecondsPerSecond = 1'000'000'000;
constexpr size_t kMaxTargetBytes = size_t{64} << 10;
// A word that stands for an empty text.
constexpr std::string_view kEmpty = "\\e";

char LetterOf(FileType type) {
  switch (type) {
    case FileType::kRegular: return 'f';
    case FileType::kDirectory: return 'd';
    case FileType::kSymlink: return 'l';
    case FileType::kFifo: return 'p';
    case FileType::kSocket: return 's';
    case FileType::kBlockDevice: return 'b';
    case FileType::kCharDevice: return 'c';
  }
  return '?';
}

std::optional<FileType> TypeOf(std::string_view letter) {
  for (const FileType type : {FileType::kRegular, FileType::kDirectory, FileType::kSymlink, FileType::kFifo,
                              FileType::kSocket, FileType::kBlockDevice, FileType::kCharDevice}) {
    if (letter.size() == 1 && letter[0] == LetterOf(type)) return type;
  }
  return std::nullopt;
}

bool IsDeviceType(FileType type) {
  return type == FileType::kBlockDevice || type == FileType::kCharDevice;
}

std::string Octal(uint32_t mode) {
  char text[8] = {};
  const auto [end, error] = std::to_chars(text, text + sizeof(text), mode, 8);
  return std::string(text, end);
}

std::string TimeText(const FileTime& time) {
  std::string fraction = std::to_string(time.nanoseconds);
  fraction.insert(0, 9 - std::min<size_t>(9, fraction.size()), '0');
  return std::to_string(time.seconds) + "." + fraction;
}

std::string DigestText(const Sha256Digest& digest) {
  return digest == Sha256Digest{} ? std::string(kNoDigest) : Hex(digest);
}

// The words of a line, one after the other. Everything that is wrong shows in ok().
class Words {
 public:
  explicit Words(std::string_view line) : left_(line) {}
  std::string_view Take() {
    if (!left_) return Fail();
    const size_t end = left_->find(' ');
    const std::string_view word = left_->substr(0, end);
    left_ = end == std::string_view::npos ? std::nullopt : std::optional(left_->substr(end + 1));
    return word.empty() ? Fail() : word;
  }
  template <typename T>
  T Number(int base = 10) {
    return NumberOf<T>(Take(), base);
  }
  FileTime Time() {
    const std::string_view word = Take();
    const size_t dot = word.find('.');
    if (dot == std::string_view::npos || word.size() - dot != 10) {
      Fail();
      return {};
    }
    return {NumberOf<int64_t>(word.substr(0, dot), 10), NumberOf<uint32_t>(word.substr(dot + 1), 10)};
  }
  Sha256Digest Digest() {
    const std::string_view word = Take();
    if (word == kNoDigest) return {};
    const std::optional<Sha256Digest> digest = ParseSha256(word);
    if (!digest) Fail();
    return digest.value_or(Sha256Digest{});
  }
  std::string Text() {
    std::optional<std::string> text = ParseProofWord(Take());
    if (!text) Fail();
    return std::move(text).value_or(std::string());
  }
  bool ok() const { return ok_; }
  bool at_end() const { return !left_.has_value(); }

 private:
  template <typename T>
  T NumberOf(std::string_view word, int base) {
    T value{};
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value, base);
    if (error != std::errc() || stop != word.data() + word.size()) Fail();
    return value;
  }
  std::string_view Fail() {
    ok_ = false;
    return {};
  }
  std::optional<std::string_view> left_;
  bool ok_ = true;
};

// What of a selection a proof says, by its word.
struct KeptPart {
  std::string_view word;
  bool MetadataSelection::*member;
};
constexpr KeptPart kKeptParts[] = {{"mode", &MetadataSelection::mode},      {"owner", &MetadataSelection::owner},
                                   {"group", &MetadataSelection::group},    {"times", &MetadataSelection::mtime},
                                   {"xattrs", &MetadataSelection::xattrs},  {"acls", &MetadataSelection::acls},
                                   {"selinux", &MetadataSelection::selinux}};

std::string KeptWords(const MetadataSelection& selection) {
  std::string words;
  for (const KeptPart& part : kKeptParts) {
    if (selection.*part.member) words.append(words.empty() ? "" : " ").append(part.word);
  }
  return words.empty() ? "nothing" : words;
}

absl::Status SetKept(std::string_view words, MetadataSelection* selection) {
  for (const KeptPart& part : kKeptParts) {
    selection->*part.member =
        (" " + std::string(words) + " ").find(" " + std::string(part.word) + " ") != std::string::npos;
  }
  return KeptWords(*selection) == words ? absl::OkStatus() : DamagedProof("what it keeps is not known");
}

absl::Status SetField(std::string_view name, std::string value, ProofHeader* header) {
  if (name == "keeps") return SetKept(value, &header->selection);
  if (name == "software")
    header->software = std::move(value);
  else if (name == "made")
    header->made = std::move(value);
  else if (name == "tree")
    header->tree = std::move(value);
  else if (name == "one-file-system")
    header->one_file_system = value == "yes";
  else if (name == "xattr")
    header->selection.extra_xattrs.push_back(std::move(value));
  else if (name == "filter")
    header->filters.push_back(std::move(value));
  else
    return DamagedProof("its header has a line that is not known");
  return absl::OkStatus();
}

}  // namespace

absl::Status DamagedProof(std::string_view what) {
  return absl::DataLossError("the proof is damaged: " + std::string(what));
}

std::string ProofWord(std::string_view bytes) {
  if (bytes.empty()) return std::string(kEmpty);
  const std::string escaped = EscapeName(bytes);
  std::string word;
  for (const char c : escaped) {
    if (c == ' ')
      word += "\\040";
    else
      word += c;
  }
  return word;
}

std::optional<std::string> ParseProofWord(std::string_view word) {
  if (word == kEmpty) return std::string();
  bool ok = true;
  std::string bytes = UnescapeName(word, &ok);
  if (!ok || ProofWord(bytes) != word) return std::nullopt;
  return bytes;
}

absl::Status CheckProofFormat(std::string_view line) {
  if (!line.starts_with(kProofMagic)) return absl::NotFoundError("it is no proof");
  line.remove_prefix(kProofMagic.size());
  uint32_t format = 0;
  const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), format);
  if (error != std::errc() || stop != line.data() + line.size()) return absl::NotFoundError("it is no proof");
  if (format == kProofFormat) return absl::OkStatus();
  return absl::UnimplementedError("it is a proof of format " + std::to_string(format) + ", this program knows format " +
                                  std::to_string(kProofFormat));
}

std::string ProofHeaderText(const ProofHeader& header) {
  std::string text(kProofMagic);
  text += std::to_string(kProofFormat) + "\n";
  text += kHowTo;
  const auto line = [&text](std::string_view name, const std::string& value) {
    text.append(name).append(": ").append(EscapeName(value)) += '\n';
  };
  line("software", header.software);
  line("made", header.made);
  line("tree", header.tree);
  line("keeps", KeptWords(header.selection));
  for (const std::string& name : header.selection.extra_xattrs) line("xattr", name);
  if (header.one_file_system) line("one-file-system", "yes");
  for (const std::string& rule : header.filters) line("filter", rule);
  return text + "\n";
}

absl::StatusOr<ProofHeader> ParseProofHeader(std::string_view text) {
  const std::string_view whole = text;
  ProofHeader header;
  bool first = true;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (std::exchange(first, false)) {
      US_RETURN_IF_ERROR(CheckProofFormat(line));
      continue;
    }
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) return DamagedProof("a line of its header has no name");
    bool ok = true;
    std::string value = UnescapeName(line.substr(colon + 2), &ok);
    if (!ok) return DamagedProof("a line of its header is not well escaped");
    US_RETURN_IF_ERROR(SetField(line.substr(0, colon), std::move(value), &header));
  }
  // One text for one header: what people read is what is compared.
  if (ProofHeaderText(header) != whole) return DamagedProof("its header is not as it was written");
  return header;
}

std::string ProofObjectLine(const Entry& entry) {
  std::string line(1, LetterOf(entry.type));
  const auto add = [&line](const std::string& word) { line.append(" ").append(word); };
  add(Octal(entry.mode));
  add(std::to_string(entry.uid));
  add(std::to_string(entry.gid));
  add(TimeText(entry.mtime));
  add(DigestText(entry.proof->attributes));
  if (entry.type == FileType::kRegular) {
    add(std::to_string(entry.size_bytes));
    add(DigestText(entry.proof->contents));
  }
  if (IsDeviceType(entry.type)) {
    add(std::to_string(entry.rdev_major));
    add(std::to_string(entry.rdev_minor));
  }
  if (entry.type == FileType::kSymlink) add(ProofWord(entry.symlink_target));
  add(ProofWord(entry.name));
  return line;
}

absl::StatusOr<Entry> ParseProofObject(std::string_view line) {
  Words words(line);
  Entry entry;
  auto proof = std::make_shared<EntryProof>();
  const std::optional<FileType> type = TypeOf(words.Take());
  if (!type) return DamagedProof("an object of no known type");
  entry.type = *type;
  entry.mode = words.Number<uint32_t>(8);
  entry.uid = words.Number<uint32_t>();
  entry.gid = words.Number<uint32_t>();
  entry.mtime = words.Time();
  proof->attributes = words.Digest();
  if (entry.type == FileType::kRegular) {
    entry.size_bytes = words.Number<uint64_t>();
    proof->contents = words.Digest();
  }
  if (IsDeviceType(entry.type)) {
    entry.rdev_major = words.Number<uint32_t>();
    entry.rdev_minor = words.Number<uint32_t>();
  }
  if (entry.type == FileType::kSymlink) {
    entry.symlink_target = words.Text();
    entry.size_bytes = entry.symlink_target.size();
  }
  entry.name = words.Text();
  entry.proof = std::move(proof);
  const bool fits = entry.mode <= 07777 && entry.mtime.nanoseconds < kNanosecondsPerSecond &&
                    entry.name.size() <= kMaxNameBytes && entry.symlink_target.size() <= kMaxTargetBytes;
  // One text for one object.
  if (!words.ok() || !words.at_end() || !fits || ProofObjectLine(entry) != line)
    return DamagedProof("a line of an object is not as it was written");
  return entry;
}

}  // namespace uringsync
