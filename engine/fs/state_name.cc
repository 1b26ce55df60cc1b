#include "engine/fs/state_name.h"

#include <charconv>

namespace uringsync {
namespace {

constexpr std::string_view kPrefix = ".~uringsync~";
constexpr std::string_view kSuffix = ".tmp";
constexpr size_t kTagDigits = 16;
constexpr size_t kMaxSerialDigits = 20;  // of a uint64_t
constexpr uint64_t kJournalTag = 0;

bool IsLowerHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

std::string NameOf(uint64_t tag, uint64_t serial) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string name(kPrefix);
  for (int shift = 60; shift >= 0; shift -= 4) name.push_back(kDigits[(tag >> shift) & 15]);
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
  if (name[kTagDigits] != '.' || name.size() - kTagDigits - 1 > kMaxSerialDigits) return std::nullopt;
  for (size_t i = 0; i < name.size(); ++i) {
    if (i < kTagDigits ? !IsLowerHex(name[i]) : (i > kTagDigits && !IsDigit(name[i]))) return std::nullopt;
  }
  uint64_t tag = 0;
  std::from_chars(name.data(), name.data() + kTagDigits, tag, 16);
  return tag;
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
