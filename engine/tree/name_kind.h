// NameKind: which names of a directory show in a manifest, and which of the others are left by sessions that are dead.
//
// Thread rule: on the shard that owns `driver`. Use:
//   NameKind kind = KindOfName(driver, directory, item, stat, own, at_root);
#pragma once

#include <cstdint>
#include <optional>

#include "engine/fs/directory.h"
#include "engine/ring/driver.h"

struct statx;

namespace uringsync {

enum class NameKind : uint8_t {
  kShown,
  kTemporary,  // of a session that lives, or nobody is to remove strays here
  kStray,      // to be recovered or removed (replace.h)
  kLostFound   // lost+found at the root of a file system
};

// `stat` is the directory's; `own`: the session whose temporaries live where strays are to be removed; `at_root`: the
// directory is the session's, where journals lie.
NameKind KindOfName(Driver* driver, const Directory& directory, const DirectoryItem& item, const struct statx& stat,
                    const std::optional<uint64_t>& own, bool at_root);

}  // namespace uringsync
