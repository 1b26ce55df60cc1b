#include "agent/bench_scratch.h"

#include <sys/statfs.h>

#include <algorithm>

#include "engine/base/errno_status.h"
#include "engine/fs/syscalls.h"

namespace uringsync {

BenchScratch::BenchScratch(Driver* driver, const BenchSubject& subject)
    : driver_(driver), root_(subject.root), namer_(SessionTag(subject.session)) {}

absl::StatusOr<std::unique_ptr<BenchScratch>> BenchScratch::Make(const BenchSubject& subject) {
  Driver* driver = Shard::Current()->driver();
  std::unique_ptr<BenchScratch> scratch(new BenchScratch(driver, subject));
  absl::StatusOr<ScratchTree> tree = MakeScratchTree(driver, *subject.root, &scratch->namer_);
  if (!tree.ok()) return WithContext(tree.status(), "scratch directory");
  scratch->tree_ = *std::move(tree);
  for (size_t i = 0; i < subject.shards; ++i) {
    const std::string name = "shard-" + std::to_string(i);
    US_RETURN_IF_ERROR(
        sys::SysStatus(sys::Mkdirat(driver, scratch->tree_.directory->fd(), name.c_str(), 0700), "mkdir"));
    US_ASSIGN_OR_RETURN(DirectoryPtr directory,
                        OpenChild(driver, *scratch->tree_.directory, name, DirectoryAccess::kRead));
    scratch->directories_.push_back(std::move(directory));
  }
  return scratch;
}

BenchScratch::~BenchScratch() {
  directories_.clear();
  // What cannot be removed now is removed by the next session.
  if (!tree_.name.empty()) RemoveStateTree(driver_, root_->fd(), tree_.name).IgnoreError();
}

absl::StatusOr<uint64_t> BenchScratch::ByteLimit(uint64_t max_bytes) const {
  struct statfs found{};
  const long result = driver_->Call(CallCode::kFstatfs, root_->fd(), sys::Arg(&found));
  US_RETURN_IF_ERROR(sys::SysStatus(result, "fstatfs"));
  const uint64_t free_bytes = static_cast<uint64_t>(found.f_bavail) * static_cast<uint64_t>(found.f_bsize);
  const uint64_t limit = std::min(max_bytes, free_bytes / 4);
  if (limit < kMinBenchBytes) return ErrnoStatus(ENOSPC, "less than 4 MiB free");
  return limit;
}

}  // namespace uringsync
