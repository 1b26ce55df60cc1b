// ArrivedPrefix: up to where a file that is filled range by range is whole from its beginning, whatever order the
// ranges end in.
//
// Thread rule: any thread; bytes() when nothing runs any more.
// Use:  arrived.Begin(offset, length);
//       ... fill ...
//       if (whole) arrived.End(offset); else arrived.Stop(offset, up_to);
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>

namespace uringsync {

class ArrivedPrefix {
 public:
  // What lies before `start` is there.
  explicit ArrivedPrefix(uint64_t start = 0) : end_(start) {}
  // A range is begun. Ranges touch each other, but for holes that need nothing.
  void Begin(uint64_t offset, uint64_t length) {
    std::lock_guard lock(mutex_);
    open_[offset] = offset;
    end_ = std::max(end_, offset + length);
  }
  // It is whole.
  void End(uint64_t offset) {
    std::lock_guard lock(mutex_);
    open_.erase(offset);
  }
  // It will not be, but up to `up_to`.
  void Stop(uint64_t offset, uint64_t up_to) {
    std::lock_guard lock(mutex_);
    const auto range = open_.find(offset);
    if (range != open_.end()) range->second = std::max(offset, up_to);
  }
  uint64_t bytes() const {
    std::lock_guard lock(mutex_);
    return open_.empty() ? end_ : open_.begin()->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, uint64_t> open_;  // begun and not whole: up to where they are
  uint64_t end_;
};

}  // namespace uringsync
