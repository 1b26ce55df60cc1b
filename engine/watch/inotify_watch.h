// The inotify kind of TreeWatch. For tree_watch.cc only.
#pragma once

#include <memory>

#include "engine/watch/tree_watch.h"

namespace uringsync {

absl::StatusOr<std::unique_ptr<TreeWatch>> StartInotifyWatch();

}  // namespace uringsync
