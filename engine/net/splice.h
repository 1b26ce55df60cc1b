// Splice: carries bytes between two streams, both ways, until both directions have ended.
//
// The end of one direction is passed on; when anything breaks, both streams are shut down. What it holds is one buffer
// for each direction. Thread rule: one shard, which both streams belong to. Use:  scope.Spawn(Splice(std::move(socket),
// std::move(stream)));
#pragma once

#include <memory>

#include "engine/coro/task.h"
#include "engine/net/stream.h"

namespace uringsync {

constexpr size_t kSpliceBytes = 128 << 10;

// Takes both. OK when both directions ended in order, else what broke first.
Task<absl::Status> Splice(std::unique_ptr<Stream> a, std::unique_ptr<Stream> b);

}  // namespace uringsync
