// DescriptorBudget: how the descriptors that a process may open (RLIMIT_NOFILE) are shared out, so that a small limit
// makes a run slower instead of making files fail.
//
// Beside it, an open that finds no descriptor free is tried again: the caches give theirs up, and other files end.
//
// Thread rule: values; any thread, but AwaitDescriptor, which runs on the shard of its driver. Use:  DescriptorBudget
// budget = DescriptorBudget::OfProcess(shards);
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "engine/coro/task.h"
#include "engine/ring/driver.h"

namespace uringsync {

struct DescriptorBudget {
  size_t cached_directories = 1;  // of one cache
  size_t files = 1;               // open at once on one shard, and as many at the source
  size_t staged = 1;              // files of one shard that wait for their batch
  size_t kept_files = 1;          // big source files that stay open between requests
  size_t scan_directories = 1;    // that a scan keeps open for what lies below them

  // What `limit` descriptors allow each of `shards`, each number at least 1.
  static DescriptorBudget For(uint64_t limit, size_t shards);
  // With the soft limit of this process.
  static DescriptorBudget OfProcess(size_t shards);
};

// EMFILE or ENFILE: worth another try once something was closed.
bool IsOutOfDescriptors(int error);
constexpr int kMaxDescriptorTries = 200;
constexpr std::chrono::milliseconds kDescriptorPause{10};
// Lets others end for kDescriptorPause. Between two of at most kMaxDescriptorTries tries, after the caller gave up what
// it can spare.
Task<void> AwaitDescriptor(Driver* driver);

}  // namespace uringsync
