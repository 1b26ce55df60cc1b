#include "agent/account_names.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <vector>

#include "engine/base/digest.h"

namespace uringsync {
namespace {

// A group with many members needs a large buffer.
constexpr size_t kFirstBuffer = size_t{4} << 10;
constexpr size_t kLargestBuffer = size_t{4} << 20;

// Calls `ask(record, buffer, bytes, result)` with a buffer that is large enough. False: no such account, or no answer.
template <typename Record, typename Ask>
bool Find(Record* record, std::vector<char>* buffer, Ask ask) {
  for (buffer->resize(kFirstBuffer); buffer->size() <= kLargestBuffer; buffer->resize(buffer->size() * 4)) {
    Record* found = nullptr;
    int error = EINTR;
    while (error == EINTR) error = ask(record, buffer->data(), buffer->size(), &found);
    if (error != ERANGE) return error == 0 && found != nullptr;
  }
  return false;
}

std::string NameOr(bool found, const char* name) {
  std::string text = found && name != nullptr ? name : "";
  return text.size() <= kMaxAccountNameBytes ? text : std::string();
}

}  // namespace

NameReply AnswerNames(const NameQuery& query) {
  NameReply reply;
  std::vector<char> buffer;
  passwd user{};
  group members{};
  for (const uint32_t uid : query.uids) {
    const bool found = Find(&user, &buffer, [uid](auto... rest) { return ::getpwuid_r(uid, rest...); });
    reply.user_names.push_back(NameOr(found, user.pw_name));
  }
  for (const uint32_t gid : query.gids) {
    const bool found = Find(&members, &buffer, [gid](auto... rest) { return ::getgrgid_r(gid, rest...); });
    reply.group_names.push_back(NameOr(found, members.gr_name));
  }
  for (const std::string& name : query.users) {
    const bool found = Find(&user, &buffer, [&name](auto... rest) { return ::getpwnam_r(name.c_str(), rest...); });
    reply.user_ids.push_back(found ? std::optional<uint32_t>(user.pw_uid) : std::nullopt);
  }
  for (const std::string& name : query.groups) {
    const bool found = Find(&members, &buffer, [&name](auto... rest) { return ::getgrnam_r(name.c_str(), rest...); });
    reply.group_ids.push_back(found ? std::optional<uint32_t>(members.gr_gid) : std::nullopt);
  }
  return reply;
}

std::string HomeDirectory(const std::string& user) {
  passwd entry{};
  std::vector<char> buffer;
  const bool found = user.empty()
                         ? Find(&entry, &buffer, [](auto... rest) { return ::getpwuid_r(::geteuid(), rest...); })
                         : Find(&entry, &buffer, [&user](auto... rest) { return ::getpwnam_r(user.c_str(), rest...); });
  return found && entry.pw_dir != nullptr ? entry.pw_dir : "";
}

std::string NameDomain() {
  std::ifstream boot("/proc/sys/kernel/random/boot_id");
  std::string text;
  if (!std::getline(boot, text)) return {};
  for (const char* place : {"/proc/self/ns/mnt", "/proc/self/ns/user", "/"}) {
    struct stat status{};
    if (::stat(place, &status) != 0) return {};
    text += "/" + std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  }
  const Digest128 digest = Xxh128(text);
  return std::to_string(digest.high) + "-" + std::to_string(digest.low);
}

}  // namespace uringsync
