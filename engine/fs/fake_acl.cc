#include "engine/fs/fake_acl.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace uringsync {
namespace {

constexpr uint32_t kVersion = 2;
constexpr size_t kEntryBytes = 8;
constexpr size_t kHeadBytes = 16;
constexpr uint32_t kNoEntry = 0x80;
constexpr uint32_t kIsUser = uint32_t{1} << 31;
constexpr uint32_t kNoId = 0xffffffff;
enum Tag : uint16_t { kUserObject = 1, kUser = 2, kGroupObject = 4, kGroup = 8, kMask = 16, kOther = 32 };

void Put(uint32_t value, size_t bytes, std::string* out) {
  for (size_t i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

uint32_t Get(std::string_view bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

void PutEntry(Tag tag, uint32_t permissions, uint32_t id, std::string* out) {
  Put(tag, 2, out);
  Put(permissions & 7, 2, out);
  Put(id, 4, out);
}

}  // namespace

std::optional<std::string> PackAcl(std::string_view value, AclKind kind) {
  if (value.size() < 4 || (value.size() - 4) % kEntryBytes != 0 || Get(value, 0, 4) != kVersion) return std::nullopt;
  uint32_t user = kNoEntry;
  uint32_t group = kNoEntry;
  uint32_t mask = kNoEntry;
  uint32_t other = kNoEntry;
  std::string named;
  for (size_t at = 4; at < value.size(); at += kEntryBytes) {
    const uint32_t permissions = Get(value, at + 2, 2);
    const uint32_t id = Get(value, at + 4, 4);
    switch (Get(value, at, 2)) {
      case kUserObject: user = permissions; break;
      case kGroupObject: group = permissions; break;
      case kMask: mask = permissions; break;
      case kOther: other = permissions; break;
      case kUser:
      case kGroup:
        Put(id, 4, &named);
        Put(permissions | (Get(value, at, 2) == kUser ? kIsUser : 0), 4, &named);
        break;
      default: return std::nullopt;
    }
  }
  if (kind == AclKind::kAccess) {
    user = other = kNoEntry;
    if (mask == kNoEntry) group = kNoEntry;
  }
  std::string out;
  for (const uint32_t permissions : {user, group, mask, other}) Put(permissions, 4, &out);
  return out + named;
}

std::optional<std::string> UnpackAcl(std::string_view stored, AclKind kind, uint32_t mode) {
  if (stored.size() < kHeadBytes || (stored.size() - kHeadBytes) % kEntryBytes != 0) return std::nullopt;
  uint32_t user = Get(stored, 0, 4);
  uint32_t group = Get(stored, 4, 4);
  uint32_t mask = Get(stored, 8, 4);
  uint32_t other = Get(stored, 12, 4);
  std::vector<std::pair<uint32_t, uint32_t>> users;
  std::vector<std::pair<uint32_t, uint32_t>> groups;
  for (size_t at = kHeadBytes; at < stored.size(); at += kEntryBytes) {
    const uint32_t access = Get(stored, at + 4, 4);
    ((access & kIsUser) != 0 ? users : groups).emplace_back(Get(stored, at, 4), access & 7);
  }
  const bool names = !users.empty() || !groups.empty();
  if (kind == AclKind::kAccess) {
    if (user == kNoEntry) user = mode >> 6;
    if (other == kNoEntry) other = mode;
    if (group == kNoEntry) group = mode >> 3;
  }
  if (names && mask == kNoEntry) mask = mode >> 3;
  // A default ACL of which nothing is there is none.
  if (user == kNoEntry || group == kNoEntry || other == kNoEntry) return std::nullopt;
  std::sort(users.begin(), users.end());
  std::sort(groups.begin(), groups.end());
  std::string out;
  Put(kVersion, 4, &out);
  PutEntry(kUserObject, user, kNoId, &out);
  for (const auto& [id, access] : users) PutEntry(kUser, access, id, &out);
  PutEntry(kGroupObject, group, kNoId, &out);
  for (const auto& [id, access] : groups) PutEntry(kGroup, access, id, &out);
  if (mask != kNoEntry) PutEntry(kMask, mask, kNoId, &out);
  PutEntry(kOther, other, kNoId, &out);
  return out;
}

}  // namespace uringsync
