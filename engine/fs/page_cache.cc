#include "engine/fs/page_cache.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// linux/mman.h of 6.5.
struct CachestatRange {
  uint64_t offset;
  uint64_t length;
};
struct Cachestat {
  uint64_t cached;
  uint64_t dirty;
  uint64_t writeback;
  uint64_t evicted;
  uint64_t recently_evicted;
};

// What is mapped at once to be asked for by mincore: one byte of answer a page.
constexpr uint64_t kWindowBytes = uint64_t{64} << 20;
constexpr size_t kForgetAbove = 64;

uint64_t PageBytes() {
  static const auto bytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

std::optional<uint64_t> CountInWindow(Driver* driver, int fd, uint64_t offset, uint64_t length) {
  const long mapped =
      driver->Call(CallCode::kMmap, 0, static_cast<long>(length), PROT_READ, MAP_SHARED, fd, static_cast<long>(offset));
  if (mapped < 0 && mapped > -4096) return std::nullopt;
  std::vector<unsigned char> resident((length + PageBytes() - 1) / PageBytes());
  const long asked = driver->Call(CallCode::kMincore, mapped, static_cast<long>(length), sys::Arg(resident.data()));
  driver->Call(CallCode::kMunmap, mapped, static_cast<long>(length));
  if (asked < 0) return std::nullopt;
  return std::count_if(resident.begin(), resident.end(), [](unsigned char page) { return (page & 1) != 0; });
}

std::optional<uint64_t> CountByMincore(Driver* driver, int fd, uint64_t offset, uint64_t length) {
  uint64_t pages = 0;
  for (uint64_t done = 0; done < length;) {
    const uint64_t part = std::min(length - done, kWindowBytes);
    const std::optional<uint64_t> found = CountInWindow(driver, fd, offset + done, part);
    if (!found.has_value()) return std::nullopt;
    pages += *found;
    done += part;
  }
  return pages;
}

}  // namespace

std::optional<uint64_t> CachedPages(Driver* driver, int fd, uint64_t offset, uint64_t length) {
  if (length == 0) return 0;
  const uint64_t begin = offset / PageBytes() * PageBytes();
  CachestatRange range{begin, offset + length - begin};
  Cachestat found{};
  const long asked = driver->Call(CallCode::kCachestat, fd, sys::Arg(&range), sys::Arg(&found), 0);
  if (asked == 0) return found.cached;
  if (asked != -ENOSYS) return std::nullopt;
  return CountByMincore(driver, fd, range.offset, range.length);
}

CachedRanges::CachedRanges(Driver* driver, int fd, uint64_t size_bytes) {
  Look(driver, fd, 0, size_bytes);
}

void CachedRanges::Look(Driver* driver, int fd, uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  const uint64_t pages = (end - begin + PageBytes() - 1) / PageBytes();
  const std::optional<uint64_t> cached = looks_left_-- > 0 ? CachedPages(driver, fd, begin, end - begin) : std::nullopt;
  if (cached == 0u) return;
  if (!cached.has_value() || *cached >= pages || end - begin <= kUnitBytes) {
    if (!ranges_.empty() && ranges_.back().second == begin) {
      ranges_.back().second = end;
    } else {
      ranges_.emplace_back(begin, end);
    }
    return;
  }
  const uint64_t half = (end - begin + 1) / 2;
  const uint64_t middle = begin + (half + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
  Look(driver, fd, begin, std::min(middle, end));
  Look(driver, fd, middle, end);
}

bool CachedRanges::Overlaps(uint64_t offset, uint64_t length) const {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), offset,
                       [](uint64_t at, const std::pair<uint64_t, uint64_t>& range) { return at < range.second; });
  return after != ranges_.end() && after->first < offset + length;
}

std::shared_ptr<const CachedRanges> PageCacheMemory::Remember(Driver* driver, int fd, FileId id, uint64_t size_bytes) {
  std::lock_guard lock(mutex_);
  std::weak_ptr<const CachedRanges>& known = files_[id];
  std::shared_ptr<const CachedRanges> ranges = known.lock();
  if (ranges != nullptr) return ranges;
  struct statfs stat;
  const bool in_memory = driver->Call(CallCode::kFstatfs, fd, sys::Arg(&stat)) < 0 || stat.f_type == TMPFS_MAGIC ||
                         stat.f_type == RAMFS_MAGIC;
  if (in_memory) {
    files_.erase(id);
    return nullptr;
  }
  ranges = std::make_shared<const CachedRanges>(driver, fd, size_bytes);
  known = ranges;
  if (files_.size() > kForgetAbove) std::erase_if(files_, [](const auto& file) { return file.second.expired(); });
  return ranges;
}

}  // namespace uringsync
