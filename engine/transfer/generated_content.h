// Generated contents: what a source answers when the way between two hosts is measured and no file is to be read.
//
// Any byte of any request exists, is incompressible, and is the same each time; every piece carries its digest as that
// of a file does. Thread rule: one shard. Use:  co_return co_await ServeGenerated(request, seed, sink);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "engine/coro/task.h"
#include "engine/ring/buffer_pool.h"
#include "engine/transfer/piece.h"

namespace uringsync {

// Answers `request` in pieces as SourceReader would; the status is the sink's own.
Task<absl::Status> ServeGenerated(FileRequest request, uint64_t digest_seed, BufferPool* buffers, ReplySink* sink);

// Fills `bytes` with numbers that no file system and no link makes smaller.
void FillIncompressible(std::span<std::byte> bytes, uint64_t seed);

}  // namespace uringsync
