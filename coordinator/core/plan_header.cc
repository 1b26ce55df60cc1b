#include "coordinator/core/plan_header.h"

#include <charconv>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr std::string_view kHowTo =
    "# Show it: uringsync plan --show FILE    Do it: uringsync apply FILE    Edited by hand it is refused.\n";

absl::Status Damaged(std::string_view what) {
  return absl::DataLossError("the plan is damaged: " + std::string(what));
}

// Takes the next line, without its end, from `text`.
std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

absl::Status CheckFormat(std::string_view line) {
  if (!line.starts_with(kPlanMagic)) return absl::NotFoundError("it is no plan");
  line.remove_prefix(kPlanMagic.size());
  uint32_t format = 0;
  const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), format);
  if (error != std::errc() || stop != line.data() + line.size()) return absl::NotFoundError("it is no plan");
  if (format == kPlanFormat) return absl::OkStatus();
  return absl::UnimplementedError("it is a plan of format " + std::to_string(format) + ", this program knows format " +
                                  std::to_string(kPlanFormat));
}

std::string KeyText(const DigestKey& key) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : key) text += {kDigits[byte >> 4], kDigits[byte & 15]};
  return text;
}

std::optional<DigestKey> ParseKey(std::string_view text) {
  DigestKey key{};
  if (text.size() != 2 * key.size()) return std::nullopt;
  for (size_t i = 0; i < key.size(); ++i) {
    const char* const digits = text.data() + 2 * i;
    const auto [stop, error] = std::from_chars(digits, digits + 2, key[i], 16);
    if (error != std::errc() || stop != digits + 2) return std::nullopt;
  }
  return key;
}

absl::Status SetField(std::string_view name, std::string value, PlanHeader* header) {
  const auto once = [&value](std::string* field) {
    if (!field->empty() || value.empty()) return Damaged("a field of its header is there twice, or empty");
    *field = std::move(value);
    return absl::OkStatus();
  };
  if (name == "software") return once(&header->software);
  if (name == "made") return once(&header->made);
  if (name == "program") return once(&header->program);
  if (name == "source") return once(&header->source);
  if (name == "destination") return once(&header->destination);
  if (name == "digest-key" && !header->digest_key) {
    header->digest_key = ParseKey(value);
    return header->digest_key ? absl::OkStatus() : Damaged("the key in its header is none");
  }
  if (name == "make-path" && value == "yes" && !header->make_path) {
    header->make_path = true;
    return absl::OkStatus();
  }
  if (name != "option") return Damaged("its header has a line that is not known");
  if (header->options.size() == kMaxPlanOptions) return Damaged("its header has too many options");
  header->options.push_back(std::move(value));
  return absl::OkStatus();
}

}  // namespace

std::string PlanHeaderText(const PlanHeader& header) {
  std::string text(kPlanMagic);
  text += std::to_string(kPlanFormat) + "\n";
  text += kHowTo;
  const auto line = [&text](std::string_view name, const std::string& value) {
    text.append(name) += ": " + EscapeName(value) + "\n";
  };
  line("software", header.software);
  line("made", header.made);
  line("program", header.program);
  line("source", header.source);
  line("destination", header.destination);
  for (const std::string& option : header.options) line("option", option);
  if (header.digest_key) line("digest-key", KeyText(*header.digest_key));
  if (header.make_path) line("make-path", "yes");
  return text + "\n";
}

absl::StatusOr<PlanHeader> ParsePlanHeader(std::string_view text) {
  const std::string_view whole = text;
  US_RETURN_IF_ERROR(CheckFormat(TakeLine(&text)));
  PlanHeader header;
  while (!text.empty()) {
    const std::string_view line = TakeLine(&text);
    if (line.empty()) break;
    if (line.front() == '#') continue;
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) return Damaged("a line of its header has no name");
    bool ok = true;
    std::string value = UnescapeName(line.substr(colon + 2), &ok);
    if (!ok) return Damaged("a line of its header is not well escaped");
    US_RETURN_IF_ERROR(SetField(line.substr(0, colon), std::move(value), &header));
  }
  // One text for one header: what people read is what is done.
  if (PlanHeaderText(header) != whole) return Damaged("its header is not as it was written");
  return header;
}

}  // namespace uringsync
