// The fanotify kind of TreeWatch. For tree_watch.cc only.
#pragma once

#include <memory>

#include "engine/watch/tree_watch.h"

namespace uringsync {

// `fd`: a directory of the file system to be marked. PermissionDenied without CAP_SYS_ADMIN.
absl::StatusOr<std::unique_ptr<TreeWatch>> StartFanotifyWatch(int fd);

}  // namespace uringsync
