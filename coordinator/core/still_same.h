// Whether an object is still the one that a plan saw: identity and every attribute that was told of it.
//
// Thread rule: values. Use:  SeenDevices devices;  std::vector<std::string> changed = ChangedSince(saw, now, rules,
// &devices);
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/base/entry.h"

namespace uringsync {

// Device numbers of a plan as they are now: many file systems get another one when they are mounted again, but two of
// them never become one, nor one two.
class SeenDevices {
 public:
  bool Same(uint64_t then, uint64_t now);

 private:
  std::unordered_map<uint64_t, uint64_t> now_of_;
  std::unordered_map<uint64_t, uint64_t> then_of_;
};

// What may have moved without anybody's doing.
struct SameRules {
  bool directory_times =
      true;  // the modification time of a directory counts; not at a destination, whose entries come and go
  // The status change time of regular files counts, which no program can set back; at a destination not of files with
  // further hard links, which the run itself may have changed.
  bool ctime_of_links = true;
};

// The attributes that differ: "type", "object" (another one of that name), "size", "mtime", "content", "target",
// "device", "mode", "owner", "group", "xattrs", "ctime". Empty: the same object. Access times and numbers of links are
// no part of it.
std::vector<std::string> ChangedSince(const Entry& saw, const Entry& now, const SameRules& rules, SeenDevices* devices);

}  // namespace uringsync
