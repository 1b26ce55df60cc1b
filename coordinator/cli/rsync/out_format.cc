#include "coordinator/cli/rsync/out_format.h"

#include <algorithm>
#include <optional>

#include "coordinator/cli/rsync/numbers.h"

namespace uringsync {
namespace {

constexpr std::string_view kKnown = "inflbCLoMUGptBm";
constexpr size_t kMaxWidth = 1000;
constexpr size_t kDigestColumns = 32;

std::optional<uint64_t> NumberOf(char escape, const ItemFacts& facts) {
  switch (escape) {
    case 'l': return facts.size;
    case 'b': return facts.moved;
    case 'U': return facts.uid;
    case 'G': return facts.gid ? std::optional<uint64_t>(*facts.gid) : std::nullopt;
    case 'p': return static_cast<uint64_t>(facts.pid);
    default: return std::nullopt;
  }
}

std::string TextOf(char escape, const ItemFacts& facts) {
  switch (escape) {
    case 'i': return facts.code;
    case 'n': return facts.name;
    case 'f': return facts.long_name;
    case 'L': return facts.arrow;
    case 'G': return "DEFAULT";
    case 'o': return facts.operation;
    case 'C': return facts.digest.empty() ? std::string(kDigestColumns, ' ') : facts.digest;
    case 'M': return HumanTime(facts.mtime, '-');
    case 't': return HumanTime(facts.now, ' ');
    case 'B': return PermissionText(facts.mode);
    default: return {};  // %m: no module
  }
}

}  // namespace

absl::StatusOr<OutFormat> OutFormat::Parse(std::string_view text) {
  OutFormat format;
  const auto literal = [&format](std::string_view part) {
    if (part.empty()) return;
    if (format.parts_.empty() || format.parts_.back().escape != 0) format.parts_.emplace_back();
    format.parts_.back().text += part;
  };
  while (!text.empty()) {
    const size_t start = text.find('%');
    literal(text.substr(0, start));
    if (start == std::string_view::npos) break;
    text.remove_prefix(start);
    Part part;
    size_t at = 1;
    const auto apostrophes = [&] {
      while (at < text.size() && text[at] == '\'') ++part.human, ++at;
    };
    apostrophes();
    if (at < text.size() && text[at] == '-') part.left = true, ++at;
    if (at < text.size() && text[at] == '0') part.zeros = !part.left;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      part.width = std::min(kMaxWidth, part.width * 10 + static_cast<size_t>(text[at] - '0'));
      ++at;
    }
    apostrophes();
    const char escape = at < text.size() ? text[at] : 0;
    part.text = text.substr(0, at + 1);
    text.remove_prefix(std::min(at + 1, text.size()));
    if (escape == 'c')
      return absl::InvalidArgumentError("%c: the size of checksums that nobody sends; %b tells what is moved");
    if (escape == 0 || kKnown.find(escape) == std::string_view::npos) {
      literal(escape == '%' && part.text == "%%" ? "%" : part.text);
      continue;
    }
    part.escape = escape;
    format.parts_.push_back(std::move(part));
  }
  return format;
}

std::string OutFormat::Fill(const ItemFacts& facts) const {
  std::string line;
  for (const Part& part : parts_) {
    if (part.escape == 0) {
      line += part.text;
      continue;
    }
    const std::optional<uint64_t> number = NumberOf(part.escape, facts);
    std::string text = number ? HumanNumber(*number, part.human) : TextOf(part.escape, facts);
    if (text.size() < part.width) {
      const char filler = part.zeros && number ? '0' : ' ';
      text.insert(part.left ? text.size() : 0, part.width - text.size(), filler);
    }
    line += text;
  }
  return line;
}

bool OutFormat::Has(char escape) const {
  return std::any_of(parts_.begin(), parts_.end(), [escape](const Part& part) { return part.escape == escape; });
}

}  // namespace uringsync
