#include "engine/watch/tree_watch.h"

#include "engine/base/errno_status.h"
#include "engine/watch/fanotify_watch.h"
#include "engine/watch/inotify_watch.h"

namespace uringsync {

absl::StatusOr<std::unique_ptr<TreeWatch>> TreeWatch::Start(int fd, const TreeWatchOptions& options) {
  if (options.fanotify) {
    absl::StatusOr<std::unique_ptr<TreeWatch>> watch = StartFanotifyWatch(fd);
    // Handles must be there as well: some file systems have marks and no handles.
    if (watch.ok() && (*watch)->Add(fd, 0).ok()) {
      (*watch)->Remove(0);
      return watch;
    }
  }
  return StartInotifyWatch();
}

}  // namespace uringsync
