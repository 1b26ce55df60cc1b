// Content digest of a file (the tree of engine/base/digest.h), read through the ring. Holes are known by SEEK_HOLE and
// never read.
//
// Thread rule: a coroutine of `shard`; uses its driver and one buffer of its pool (none for small files). The
// descriptor's position is moved (SEEK_HOLE). Use:  US_CO_ASSIGN_OR_RETURN(Digest128 digest, co_await HashFile(shard,
// fd, stat.stx_size, cancel));
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/base/digest.h"
#include "engine/base/sha256.h"
#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/ring/runtime.h"

namespace uringsync {

// Files up to this size are read into memory of their own instead of a pool buffer.
constexpr size_t kSmallHashBytes = size_t{64} << 10;

// Digest of the first `size_bytes` bytes of `fd` (borrowed). OutOfRange (without errno) when the file is shorter,
// DataLoss (EIO), the token's status when it fires.
// `key` as in ContentHasher.
Task<absl::StatusOr<Digest128>> HashFile(Shard* shard, int fd, uint64_t size_bytes, std::optional<DigestKey> key,
                                         CancelToken cancel);
// SHA-256 of those bytes, holes as zeros; errors as above.
Task<absl::StatusOr<Sha256Digest>> ProveFile(Shard* shard, int fd, uint64_t size_bytes, CancelToken cancel);

}  // namespace uringsync
