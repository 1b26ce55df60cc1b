#include "engine/fs/state_name.h"

#include <charconv>

namespace uringsync {
namespace {

constexpr std::string_view kPrefix = ".~uringsync~";
constexpr std::string_view kSuffix = ".tmp";
constexpr size_t kTagDigits = 16;
constexpr size_t kMaxSerialDigits = 20;  // of a uint64_t
constexpr uint64_t kJournalTag = 0;
constexpr std::string_view kMarkPrefix = ".x";
constexpr size_t kMarkDigits = 32;

bool IsLowerHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

void AppendHex(uint64_t number, std::string* to) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int shift = 60; shift >= 0; shift -= 4) to->push_back(kDigits[(number >> shift) & 15]);
}

uint64_t HexValue(std::string_view digits) {
  uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  return number;
}

// Of what stands between kPrefix and kSuffix, without the mark; nullopt where there is a wrong one.
std::optional<std::string_view> MarkDigits(std::string_view* middle) {
  const size_t length = kMarkPrefix.size() + kMarkDigits;
  if (middle->size() < length || middle->substr(middle->size() - length, kMarkPrefix.size()) != kMarkPrefix)
    return std::string_view();
  const std::string_view digits = middle->substr(middle->size() - kMarkDigits);
  for (const char c : digits) {
    if (!IsLowerHex(c)) return std::nullopt;
  }
  middle->remove_suffix(length);
  return digits;
}

std::string NameOf(uint64_t tag, uint64_t serial) {
  std::string name(kPrefix);
  AppendHex(tag, &name);
  name.push_back('.');
  name += std::to_string(serial);
  name += kSuffix;
  return name;
}

}  // namespace

uint64_t SessionTag(std::span<const uint8_t> session_id) {
  uint64_t tag = 0;
  for (size_t i = 0; i < 8 && i < session_id.size(); ++i) tag = (tag << 8) | session_id[i];
  return tag;
}

std::optional<uint64_t> StateNameSession(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  if (name.size() < kPrefix.size() + kTagDigits + 1 + 1 + kSuffix.size()) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(kSuffix.size());
  if (!MarkDigits(&name) || name.size() < kTagDigits + 1 + 1) return std::nullopt;
  if (name[kTagDigits] != '.' || name.size() - kTagDigits - 1 > kMaxSerialDigits) return std::nullopt;
  for (size_t i = 0; i < name.size(); ++i) {
    if (i < kTagDigits ? !IsLowerHex(name[i]) : (i > kTagDigits && !IsDigit(name[i]))) return std::nullopt;
  }
  return HexValue(name.substr(0, kTagDigits));
}

std::string WithReplaceMark(std::string_view name, const ReplaceMark& mark) {
  name.remove_suffix(kSuffix.size());
  static_cast<void>(MarkDigits(&name));
  std::string marked(name);
  marked += kMarkPrefix;
  AppendHex(mark.own_inode, &marked);
  AppendHex(mark.replaced, &marked);
  marked += kSuffix;
  return marked;
}

std::optional<ReplaceMark> ReplaceMarkOf(std::string_view name) {
  if (!IsStateName(name)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const std::optional<std::string_view> digits = MarkDigits(&name);
  if (!digits || digits->empty()) return std::nullopt;
  return ReplaceMark{HexValue(digits->substr(0, 16)), HexValue(digits->substr(16))};
}

bool IsStateName(std::string_view name) {
  // Scanners ask for every name: nearly all are decided by the first byte.
  return !name.empty() && name[0] == '.' && StateNameSession(name).has_value();
}

std::string JournalName(uint64_t slot) {
  return NameOf(kJournalTag, slot);
}

bool IsJournalName(std::string_view name) {
  return StateNameSession(name) == kJournalTag;
}

std::string StateNamer::Next() {
  return NameOf(tag_, next_.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace uringsync
