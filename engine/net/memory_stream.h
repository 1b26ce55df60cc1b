// A connected pair of streams in memory, with bounded windows: for tests and simulation.
//
// Thread rule: each end belongs to one executor (a shard, or a ManualExecutor); the two may differ. Timeouts are
// ignored: what is not written is waited for until Shutdown.
#pragma once

#include <memory>
#include <utility>

#include "engine/net/stream.h"

namespace uringsync {

// Chunks that each direction holds before a writer waits. A chunk is what one WriteAll part carries, at most 256 KiB.
constexpr size_t kMemoryStreamWindow = 8;

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> MakeMemoryStreamPair();

}  // namespace uringsync
