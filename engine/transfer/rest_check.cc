#include "engine/transfer/rest_check.h"

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <span>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/fs/direct_io.h"

namespace uringsync {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// What lies in the future is of no tick of this clock.
bool IsOfThisTick(const statx_timestamp& stamp) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const int64_t seconds = now.tv_sec - stamp.tv_sec;
  if (seconds < -1 || seconds > 1) return false;
  return std::chrono::nanoseconds(seconds * kSecond + now.tv_nsec - int64_t{stamp.tv_nsec}) < RestCheck::kTicks;
}

// Changed no longer than `age` before now; what lies in the future was not changed long ago. Stamps may be any number.
bool ChangedWithin(const struct statx& stat, std::chrono::nanoseconds age) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto within = [&](const statx_timestamp& stamp) {
    if (stamp.tv_sec > now.tv_sec) return true;
    if (stamp.tv_sec < now.tv_sec - age.count() / kSecond - 1) return false;
    return (now.tv_sec - stamp.tv_sec) * kSecond + now.tv_nsec - int64_t{stamp.tv_nsec} < age.count();
  };
  return within(stat.stx_ctime) || within(stat.stx_mtime);
}

bool IsSameMoment(const statx_timestamp& a, const statx_timestamp& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

bool LooksUntouched(const struct statx& before, const struct statx& now) {
  return now.stx_size == before.stx_size && IsSameMoment(now.stx_mtime, before.stx_mtime) &&
         IsSameMoment(now.stx_ctime, before.stx_ctime);
}

bool MayKeepItsTimes(const struct statx& stat) {
  return IsOfThisTick(stat.stx_ctime) || IsOfThisTick(stat.stx_mtime);
}

Task<void> AwaitTicks(Driver* driver) {
  Op pause;
  pause.code = OpCode::kTimeout;
  pause.timeout = RestCheck::kTicks;
  co_await Await(driver, &pause);
}

void RestCheck::Begin(Driver* driver, int fd, const struct statx& stat, FileSystemFacts* system) {
  begun_ = true;
  system_ = system;
  const Writers writers = LookForWriters(driver, fd, system);
  in_doubt_ = writers == Writers::kSome || (writers == Writers::kUnknown && ChangedWithin(stat, kLately)) ||
              ChangedWithin(stat, kTicks);
  // File systems on a block device of their own stamp the first store into a clean page; tmpfs and network file
  // systems, which have no such number, need not.
  asks_again_ = stat.stx_dev_major == 0;
}

void RestCheck::Add(uint64_t offset, size_t length, const Digest128& digest) {
  if (begun_) reads_.push_back({offset, length, digest});
}

bool RestCheck::IsDoubtful(Driver* driver, int fd) {
  if (!begun_) return false;
  return in_doubt_ || (asks_again_ && LookForWriters(driver, fd, system_) == Writers::kSome);
}

Task<absl::StatusOr<bool>> RestCheck::ReadsTheSame(Driver* driver, int fd, uint64_t seed) {
  // Memory of its own: who waits for a pool's buffer while holding one may wait for ever.
  std::vector<std::byte> bytes;
  for (const Read& read : reads_) {
    bytes.resize(std::max(bytes.size(), read.length));
    const absl::StatusOr<size_t> got =
        co_await ReadData(driver, {fd, -1}, bytes.data(), read.length, read.offset, -1, false);
    if (!got.ok()) co_return got.status();
    if (*got != read.length || Xxh128(std::span(bytes).first(read.length), seed) != read.digest) co_return false;
  }
  co_return true;
}

}  // namespace uringsync
