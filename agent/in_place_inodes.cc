#include "agent/in_place_inodes.h"

#include <algorithm>

namespace uringsync {

InPlaceInodes::InPlaceInodes() {
  for (size_t i = 0; i < kTurns; ++i) turns_.emplace_back(1);
}

void InPlaceInodes::Refresh(Entry* existing) const {
  std::lock_guard lock(mutex_);
  const auto found = left_.find(existing->id);
  if (found == left_.end()) return;
  existing->size_bytes = found->second.size_bytes;
  existing->mtime = found->second.mtime;
}

bool InPlaceInodes::HasLater(FileId file, uint64_t action) const {
  std::lock_guard lock(mutex_);
  const auto found = left_.find(file);
  return found != left_.end() && found->second.action > action;
}

void InPlaceInodes::Leave(FileId file, const struct statx& now, uint64_t action) {
  std::lock_guard lock(mutex_);
  Left& left = left_[file];
  left.size_bytes = now.stx_size;
  left.mtime = {now.stx_mtime.tv_sec, now.stx_mtime.tv_nsec};
  left.action = std::max(left.action, action);
}

}  // namespace uringsync
