// Readback: reads a staged file again and compares it with what was written (--verify=readback).
//
// The file is synced and its pages are dropped, so that what is read comes from the file system's storage. Where pages
// stay nevertheless (a file system in memory, somebody else's mapping), O_DIRECT is tried; where that is refused too,
// or where the file system has a cache of its own that nobody here can drop (network file systems, FUSE, overlays),
// that is told once for each file system, and what is compared then is what this host would give to any reader. A
// disk's own cache answers as the disk does.
//
// Thread rule: Check is a coroutine of the shard whose driver it uses; one object for all shards of a session.
// Use:  absl::Status right = co_await readback.Check(shard, staged.fd(), size_bytes, written);
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "engine/coro/task.h"
#include "engine/fs/direct_io.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/written_contents.h"

namespace uringsync {

class Readback {
 public:
  // `tell` gets a line for the user, once a file system; any thread.
  explicit Readback(std::function<void(std::string)> tell) : tell_(std::move(tell)) {}

  // Whether `fd`, open for reading, holds what `written` says of its first `size_bytes` bytes and is no longer.
  // DataLoss without errno: other bytes, with their place. With errno: it could not be synced or read.
  Task<absl::Status> Check(Shard* shard, int fd, uint64_t size_bytes, const WrittenContents* written);

 private:
  // From where to read so that no page of the cache answers; tells where there is no such way.
  UniqueFd PastTheCache(Driver* driver, int fd, bool is_device, uint64_t size_bytes);
  void Tell(Driver* driver, int fd, const std::string& why);

  const std::function<void(std::string)> tell_;
  std::mutex mutex_;
  std::set<uint64_t> told_;  // devices
};

}  // namespace uringsync
