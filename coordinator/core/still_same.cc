#include "coordinator/core/still_same.h"

namespace uringsync {
namespace {

// An agent that may not write into a directory gives itself the right to for as long as it has to.
constexpr uint32_t kOwnerWriteSearch = 0300;

bool SameMode(const Entry& saw, const Entry& now, const SameRules& rules) {
  if (saw.mode == now.mode) return true;
  return saw.type == FileType::kDirectory && !rules.directory_times && now.mode == (saw.mode | kOwnerWriteSearch);
}

bool SameAttributes(const Entry& saw, const Entry& now) {
  return saw.xattr_digest == now.xattr_digest && saw.capability_digest == now.capability_digest &&
         saw.trusted_digest == now.trusted_digest;
}

// Contents that changed although size and time did not.
bool ContentsTouched(const Entry& saw, const Entry& now, const SameRules& rules) {
  const bool linked = saw.nlink > 1 || now.nlink > 1;
  return saw.type == FileType::kRegular && (rules.ctime_of_links || !linked) && saw.ctime != now.ctime;
}

}  // namespace

bool SeenDevices::Same(uint64_t then, uint64_t now) {
  const auto [known_now, new_then] = now_of_.try_emplace(then, now);
  const auto [known_then, new_now] = then_of_.try_emplace(now, then);
  return known_now->second == now && known_then->second == then;
}

std::vector<std::string> ChangedSince(const Entry& saw, const Entry& now, const SameRules& rules,
                                      SeenDevices* devices) {
  if (saw.type != now.type) return {"type"};
  if (saw.id.inode != now.id.inode || !devices->Same(saw.id.device, now.id.device)) return {"object"};
  std::vector<std::string> changed;
  const auto note = [&changed](bool differs, const char* name) {
    if (differs) changed.emplace_back(name);
  };
  const bool directory = saw.type == FileType::kDirectory;
  note(saw.type == FileType::kRegular && saw.size_bytes != now.size_bytes, "size");
  note((!directory || rules.directory_times) && saw.mtime != now.mtime, "mtime");
  note(saw.content_digest && now.content_digest && saw.content_digest != now.content_digest, "content");
  note(saw.symlink_target != now.symlink_target, "target");
  note(saw.rdev_major != now.rdev_major || saw.rdev_minor != now.rdev_minor, "device");
  note(!SameMode(saw, now, rules), "mode");
  note(saw.uid != now.uid, "owner");
  note(saw.gid != now.gid, "group");
  note(!SameAttributes(saw, now), "xattrs");
  if (changed.empty()) note(ContentsTouched(saw, now, rules), "ctime");
  return changed;
}

}  // namespace uringsync
