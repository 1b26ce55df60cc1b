// VolumeFacts: what the file system of a directory has room for and how it treats names, as far as that can be told
// without writing.
//
// Thread rule: values; LookAtVolume on a shard.
// Use:  const VolumeFacts facts = LookAtVolume(driver, directory, type_name);
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/fs/directory.h"
#include "engine/ring/driver.h"

namespace uringsync {

struct VolumeFacts {
  uint64_t bytes_total = 0;  // 0: it tells no size
  uint64_t bytes_free = 0;   // for this process, quotas as far as the file system shows them
  uint64_t files_total = 0;  // inodes; 0: it makes them as it goes
  uint64_t files_free = 0;
  uint32_t name_bytes_max = 0;  // 0: unknown
  uint64_t file_bytes_max = 0;  // 0: unknown, or far beyond
  bool read_only = false;
  bool ignores_case = false;      // names that differ in case alone are one name
  bool normalises_names = false;  // names may come back in another Unicode form
  bool lacks_xattrs = false;      // user.*
  bool lacks_acls = false;
  friend bool operator==(const VolumeFacts&, const VolumeFacts&) = default;
};

// `type_name` as of FileSystemTypeName. What cannot be told keeps its default.
VolumeFacts LookAtVolume(Driver* driver, const Directory& directory, std::string_view type_name);

}  // namespace uringsync
