// What both drivers know of operations.
#pragma once

#include "engine/ring/driver.h"

namespace uringsync {

// Operations that never wait for readiness: they run to their end, at once or on a worker.
constexpr bool IsFileOp(OpCode code) {
  return code == OpCode::kRead || code == OpCode::kWrite || code == OpCode::kFsync || code == OpCode::kFallocate;
}

// POLL* bits that `op` waits for before it can go on.
unsigned ReadinessFor(const Op& op);

// Outcome of a connect whose socket has become writable: 0 or -errno.
int ConnectResult(int fd);

}  // namespace uringsync
