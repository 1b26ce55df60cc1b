// The lock on a destination subtree: flock(2), shared on every ancestor directory that can be opened, exclusive on the
// root.
//
// Two sessions into one directory, or into a directory and one above it, exclude each other; siblings do not. The
// kernel drops the lock with the process: a holder that died needs no take-over. Thread rule: the shard that owns
// `driver`. Dropping the lock is closing the descriptors, on any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/fs/pinned_ancestors.h"

namespace uringsync {

struct SubtreeLockOptions {
  // Waits until the holder is gone, polling; false: FailedPrecondition at once.
  bool wait = false;
  // Shared on the root too: the session writes some objects in it, and is kept apart only from sessions that own the
  // whole tree.
  bool shared = false;
  std::chrono::nanoseconds poll_interval = std::chrono::milliseconds(200);
  // Where directories above may not be opened any more; null: none are pinned.
  PinnedAncestors* ancestors = nullptr;
  // Required with `wait`: sleeps without blocking the shard (a kTimeout operation; tests inject a clock).
  std::function<Task<void>(std::chrono::nanoseconds)> sleep;
  // With `wait`: called once, with the refusal, where there is something to wait for.
  std::function<void(const absl::Status&)> on_wait;
  CancelToken cancel;
};

class SubtreeLock {
 public:
  SubtreeLock() = default;
  bool held() const { return !descriptors_.empty(); }
  // What could not be locked, a line each: ancestors that may not be opened, file systems without flock.
  const std::vector<std::string>& notices() const { return notices_; }

  // FailedPrecondition (errno EWOULDBLOCK) when somebody else holds it; the message names the directory and, where the
  // kernel tells, the host, and the holder's pid, program and start. Cancelled when the token fires while waiting.
  static Task<absl::StatusOr<SubtreeLock>> Acquire(Driver* driver, DirectoryPtr root, SubtreeLockOptions options);

 private:
  std::vector<UniqueFd> descriptors_;
  std::vector<std::shared_ptr<void>> shares_;  // of pinned ancestors
  std::vector<std::string> notices_;
};

}  // namespace uringsync
