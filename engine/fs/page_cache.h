// What of a file lies in the page cache before it is read for a sync, so that reading it leaves the cache as it was.
//
// Thread rule: CachedRanges is immutable once made; PageCacheMemory is thread-safe; calls with a driver on its shard.
// Use:  std::shared_ptr<const CachedRanges> before = memory.Remember(driver, fd, id, size);   // once a file, before
// reading
//       ... read [offset, offset + length) ...
//       if (before != nullptr && !before->Overlaps(offset, length)) AdviseDontNeed(driver, fd, offset, length);
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/entry.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Pages of [offset, offset + length) of `fd` in the page cache, by cachestat(2) (Linux 6.5), else mincore(2). nullopt
// where neither tells (not our file).
std::optional<uint64_t> CachedPages(Driver* driver, int fd, uint64_t offset, uint64_t length);

class CachedRanges {
 public:
  // A range this short counts as cached when any of its pages is.
  static constexpr uint64_t kUnitBytes = uint64_t{1} << 20;
  // Looks at one file, at most: what remains mixed after them counts as cached.
  static constexpr int kMaxLooks = 1024;

  CachedRanges(Driver* driver, int fd, uint64_t size_bytes);
  // True when something of the range was cached, or may have been.
  bool Overlaps(uint64_t offset, uint64_t length) const;
  bool none() const { return ranges_.empty(); }

 private:
  void Look(Driver* driver, int fd, uint64_t begin, uint64_t end);

  int looks_left_ = kMaxLooks;
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;  // [begin, end), ascending, merged
};

// The state that each file of a session was found in by whichever reader opened it first, as long as one has it open:
// the second one would see what the first one read.
class PageCacheMemory {
 public:
  // nullptr where the file lives in memory: nothing is to be dropped.
  std::shared_ptr<const CachedRanges> Remember(Driver* driver, int fd, FileId id, uint64_t size_bytes);

 private:
  std::mutex mutex_;
  std::map<FileId, std::weak_ptr<const CachedRanges>> files_;
};

}  // namespace uringsync
