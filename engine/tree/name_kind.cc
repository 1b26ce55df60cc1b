#include "engine/tree/name_kind.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/fs/state_name.h"
#include "engine/fs/syscalls.h"
#include "engine/tree/directory_listing.h"

namespace uringsync {

NameKind KindOfName(Driver* driver, const Directory& directory, const DirectoryItem& item, const struct statx& stat,
                    const std::optional<uint64_t>& own, bool at_root) {
  if (IsStateName(item.name)) {
    const bool live = StateNameSession(item.name) == own || (at_root && IsJournalName(item.name));
    return own.has_value() && !live ? NameKind::kStray : NameKind::kTemporary;
  }
  if (item.name != "lost+found") return NameKind::kShown;
  struct statx found;
  const bool is_directory = item.type == DT_DIR || (item.type == DT_UNKNOWN &&
                                                    sys::Statx(driver, directory.fd(), "lost+found",
                                                               AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found) == 0 &&
                                                    S_ISDIR(found.stx_mode));
  return is_directory && IsMountRoot(driver, directory.fd(), stat) ? NameKind::kLostFound : NameKind::kShown;
}

}  // namespace uringsync
