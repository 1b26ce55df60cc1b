// Content digest of a file (the tree of engine/base/digest.h), read through the ring. Holes are known by SEEK_HOLE and never read.
//
// Thread rule: a coroutine of a shard; uses that shard's driver and buffer pool. Bounded: at most kHashReadsInFlight buffers.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/base/digest.h"
#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/ring/runtime.h"

namespace uringsync {

// Reads of one file that are in flight at once; each holds one pool buffer.
constexpr size_t kHashReadsInFlight = 2;

// Digest of the first `size_bytes` bytes of `fd` (borrowed). OutOfRange when the file is shorter, DataLoss (EIO), Cancelled, ...
Task<absl::StatusOr<Digest128>> HashFile(Shard* shard, int fd, uint64_t size_bytes, CancelToken cancel);

}  // namespace uringsync
