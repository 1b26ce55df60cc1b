// ContentSource: how a destination gets contents, whether the source is this very process or a peer.
//
// One object per shard. LocalContentSource calls a SourceReader on the same shard: no socket, no copy.
// RemoteContentSource spreads requests over the data connections of its shard (remote_source.h).
//
// Thread rule: one shard, except where a method says otherwise.
// Use:  absl::Status status = co_await source->Fetch(request, &sink);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "engine/coro/task.h"
#include "engine/transfer/piece.h"
#include "engine/transfer/source_reader.h"

namespace uringsync {

// How a try to clone a file of the source ended.
struct CloneOutcome {
  bool cloned = false;
  // Not 0: the file systems do not clone this file, for this errno; it can be copied.
  int refused = 0;
  // Otherwise: why the file cannot be had, as Fetch would have said.
  ReplyItem end;
};

class ContentSource {
 public:
  virtual ~ContentSource() = default;
  // Answers `request` into `sink` (its id is chosen here). OK: the item with `end` was delivered, whatever its status
  // says. Unavailable: the connection broke midway; asking again is harmless. Cancelled: the session is over. Any other
  // status is the sink's own.
  virtual Task<absl::Status> Fetch(FileRequest request, ReplySink* sink) = 0;
  // Makes the empty file `fd` a clone of the whole regular file that `request` describes: its extents are shared, and
  // nothing is read. The default refuses: EOPNOTSUPP.
  virtual Task<CloneOutcome> Clone(FileRequest request, int fd);
  // Suspends until Fetch can work (at once for a local source); not OK when it never will.
  virtual Task<absl::Status> WaitUsable() = 0;
  // True when WaitUsable would return at once. Any thread.
  virtual bool usable() const = 0;
  // `callback` is called whenever usable() has become true; nullptr: none. A source that is always usable forgets it.
  virtual void SetOnUsable(std::function<void()> callback) { static_cast<void>(callback); }
  // How many small requests are worth having outstanding on this shard.
  virtual size_t concurrency() const = 0;
  // What concurrency() may grow to as the way to the source becomes known.
  virtual size_t max_concurrency() const { return concurrency(); }
  // Bytes of large files that are worth having outstanding on this shard, as far as the way to the source is known; 0:
  // what its workers ask for anyway.
  virtual uint64_t outstanding_bytes() const { return 0; }
  // Bytes on the wire, both ways. Any thread.
  virtual uint64_t wire_bytes() const = 0;
};

// Small files in flight per shard for a local source: enough that one io_uring_enter carries many reads and writes.
constexpr size_t kLocalConcurrency = 32;

class LocalContentSource final : public ContentSource {
 public:
  explicit LocalContentSource(std::unique_ptr<SourceReader> reader) : reader_(std::move(reader)) {}
  Task<absl::Status> Fetch(FileRequest request, ReplySink* sink) override;
  Task<CloneOutcome> Clone(FileRequest request, int fd) override;
  Task<absl::Status> WaitUsable() override;
  bool usable() const override { return true; }
  size_t concurrency() const override { return kLocalConcurrency; }
  uint64_t wire_bytes() const override { return 0; }

 private:
  std::unique_ptr<SourceReader> reader_;
};

}  // namespace uringsync
