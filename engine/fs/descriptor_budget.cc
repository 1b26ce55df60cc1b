#include "engine/fs/descriptor_budget.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

namespace uringsync {
namespace {

// Standard streams, control connections, logs, state files, and the driver of each shard.
constexpr uint64_t kReserved = 32;
constexpr uint64_t kReservedPerShard = 3;
constexpr size_t kMaxCachedDirectories = 64;
constexpr size_t kMaxFiles = 4096;  // a long way to the source needs many under way
constexpr size_t kMaxStaged = 1024;
constexpr size_t kMaxKeptFiles = 8;
constexpr size_t kMaxScanDirectories = 96;

}  // namespace

DescriptorBudget DescriptorBudget::For(uint64_t limit, size_t shards) {
  const uint64_t count = std::max<size_t>(shards, 1);
  const uint64_t reserved = kReserved + kReservedPerShard * count;
  const uint64_t share = limit > reserved ? (limit - reserved) / count : 0;
  const auto part = [share](uint64_t divisor, size_t most) {
    return static_cast<size_t>(std::clamp<uint64_t>(share / divisor, 1, most));
  };
  // Of eight parts one each goes to the directories of the two sides, two to the files of each, one to what is staged,
  // and one to kept files and to what is open for a moment.
  DescriptorBudget budget;
  budget.cached_directories = part(8, kMaxCachedDirectories);
  budget.files = part(4, kMaxFiles);
  budget.staged = part(8, kMaxStaged);
  budget.kept_files = part(16, kMaxKeptFiles);
  // Of a session's scan, all shards together; what is left over when everything else has its part.
  budget.scan_directories = static_cast<size_t>(std::clamp<uint64_t>(limit / 16, 1, kMaxScanDirectories));
  return budget;
}

DescriptorBudget DescriptorBudget::OfProcess(size_t shards) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return For(1024, shards);
  return For(limit.rlim_cur, shards);  // RLIM_INFINITY is the largest number
}

bool IsOutOfDescriptors(int error) {
  return error == EMFILE || error == ENFILE;
}

Task<void> AwaitDescriptor(Driver* driver) {
  Op pause;
  pause.code = OpCode::kTimeout;
  pause.timeout = kDescriptorPause;
  co_await Await(driver, &pause);
}

}  // namespace uringsync
