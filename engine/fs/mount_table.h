// Mount table: what this process sees mounted, from /proc/self/mountinfo.
//
// Thread rule: plain functions.
// Use:  for (const Mount& mount : ReadMountTable()) if (LiesWithin(mount.point, "/srv/data")) ...
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace uringsync {

struct Mount {
  std::string point;  // absolute, as bytes
  std::string line;   // of the table, whole: changes when something else is mounted there
};

// Every line that has the table's form, in its order: of several at one point the last one covers the others. Others
// are left out.
std::vector<Mount> ParseMountTable(std::string_view text);
// The same of this process; empty where there is no /proc.
std::vector<Mount> ReadMountTable();

// `path` is `directory`, or lies below it. Both absolute, without "." and ".." and without a slash at the end.
bool LiesWithin(std::string_view path, std::string_view directory);

}  // namespace uringsync
