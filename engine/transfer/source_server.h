// SourceServer: answers the requests of one data connection.
//
// It receives RequestMessages, runs a SourceReader with bounded concurrency, and packs what comes out: while one
// ReplyMessage is on its way the next one fills, so many small files ride together and a large piece goes as it is,
// without a copy.
//
// Thread rule: one shard.
// Use:  absl::Status end = co_await ServeReplies(&channel, &reader, limits);
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "engine/coro/task.h"
#include "engine/transfer/data_channel.h"
#include "engine/transfer/reply_compressor.h"
#include "engine/transfer/source_reader.h"
#include "engine/transfer/throttle.h"

namespace uringsync {

struct SourceServerLimits {
  size_t concurrent_requests = 64;
  // Payload of a message that is being filled; a request whose reply does not fit waits for the next one.
  size_t message_bytes = 768 << 10;
  size_t message_items = 512;
  // Borrowed, of the session; null: payloads go plain, and as fast as they can.
  SharedCompression* compression = nullptr;
  Throttle* throttle = nullptr;
};

// Serves until the peer ends the connection in order (OK), the connection breaks or the peer is malformed (the
// channel's status), or the channel is closed on this side. Everything it started has ended when it returns; the
// channel is closed then.
Task<absl::Status> ServeReplies(ReplyChannel* channel, SourceReader* reader, SourceServerLimits limits);

}  // namespace uringsync
