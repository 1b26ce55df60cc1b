// ReceiveShared: what all shards of one destination session share while they receive.
//
// Thread rule: the options are immutable; everything else is atomic or locks for itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/base/entry.h"
#include "engine/base/leaf_digest.h"
#include "engine/coro/semaphore.h"
#include "engine/delta/decision.h"
#include "engine/fs/clone.h"
#include "engine/fs/direct_io.h"
#include "engine/fs/file_system_facts.h"
#include "engine/fs/metadata.h"
#include "engine/fs/process_capabilities.h"
#include "engine/fs/state_name.h"
#include "engine/transfer/rate_meter.h"

namespace uringsync {

struct ReceiveOptions {
  uint64_t digest_seed = 0;
  LeafSecret leaf_secret{};
  uint64_t session_tag = 0;  // of temporaries
  bool background = false;   // contents are written with the idle class of I/O
  bool sparse = true;        // holes stay holes; else they are written as zeros
  // Contents are fsynced before they get their final name; false also where the file system keeps nothing (tmpfs).
  bool sync = true;
  MetadataSelection selection;
  ProcessCapabilities capabilities;
  DeltaPolicy delta = DeltaPolicy::kOff;
  uint32_t delta_block_bytes = 0;  // that are compared within a leaf; 0: kDeltaBlockBytes
  ReflinkMode reflink = ReflinkMode::kAuto;
  // Whether large files are written, and old ones read, past the page cache; the callback gets what is to be told of
  // it.
  DirectIoMode direct_io = DirectIoMode::kOff;
  DirectIo::OnRefused on_direct_refused;
  // A source file that keeps changing is taken as it is read, after a few tries to have it at rest.
  bool copy_unstable = false;
  bool as_planned = false;  // a source file that changed is a failure at once, not taken as it is by then
  // Contents of large files leave the page cache once they are on disk; only with `sync`.
  bool drop_behind = true;
  std::optional<DeltaMode> delta_mode;  // instead of what samples say; for tests
  // What is known of the destination's file systems. May be null.
  std::shared_ptr<FileSystems> systems;
};

// Totals of a session. Content bytes are counted once they are in place: a repeated range counts once.
struct ReceiveCounters {
  std::atomic<uint64_t> bytes_received{0};
  std::atomic<uint64_t> bytes_matched{0};  // of old files, that were right and need not be sent
  std::atomic<uint64_t> bytes_written{0};
  std::atomic<uint64_t> bytes_cloned{0};  // extents shared with the source: neither received nor written
  std::atomic<uint64_t> retries{0};
  std::atomic<uint64_t> skipped_owner{0};
  std::atomic<uint64_t> skipped_xattrs{0};

  void AddSkipped(const MetadataCounters& skipped) {
    if (skipped.skipped_owner > 0) skipped_owner.fetch_add(skipped.skipped_owner, std::memory_order_relaxed);
    if (skipped.skipped_xattrs > 0) skipped_xattrs.fetch_add(skipped.skipped_xattrs, std::memory_order_relaxed);
  }
};

// Files of a session that are searched for content-defined chunks at once.
constexpr size_t kChunkSearches = 2;

// A large file under way, as progress shows it.
struct MovingFile {
  std::string path;
  uint64_t done_bytes = 0;
  uint64_t size_bytes = 0;
};

class ReceiveShared {
 public:
  explicit ReceiveShared(ReceiveOptions options)
      : options_(std::move(options)),
        namer_(options_.session_tag),
        direct_io_(options_.direct_io, options_.on_direct_refused) {}

  const ReceiveOptions& options() const { return options_; }
  StateNamer* namer() { return &namer_; }
  DirectIo& direct_io() { return direct_io_; }
  ReceiveCounters& counters() { return counters_; }
  const ReceiveCounters& counters() const { return counters_; }

  // The session is over: whoever moves bytes stops at the next piece.
  void Stop() { stopped_.store(true, std::memory_order_relaxed); }
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  // errno of a write where the file system has no room left for anything; 0 while there is some. Nothing is written
  // after it.
  void SetFull(int error) { full_.store(error, std::memory_order_relaxed); }
  int full() const { return full_.load(std::memory_order_relaxed); }

  // Whether files of `device` are cloned, as far as is known.
  bool MayClone(uint64_t device) const { return never_clones_.load(std::memory_order_relaxed) != device; }
  void SetNeverClones(uint64_t device) { never_clones_.store(device, std::memory_order_relaxed); }

  // Where `fd` of the destination lies; null: nobody remembers.
  FileSystemFacts* SystemOf(Driver* driver, int fd) const {
    return options_.systems != nullptr ? &options_.systems->Of(driver, fd) : nullptr;
  }

  // What contents cross the data connections with, and how fast deltas are: who of them wins is decided by measurement.
  RateMeter& link_rate() { return link_rate_; }
  RateMeter& delta_rate() { return delta_rate_; }
  // Bounds the indexes of content-defined chunks that are in memory at once.
  Semaphore& chunk_searches() { return chunk_searches_; }

  // Progress of large files: the last one that moved is shown.
  void Moving(const std::string& path, uint64_t done_bytes, uint64_t size_bytes) {
    std::lock_guard lock(moving_mutex_);
    moving_ = MovingFile{path, done_bytes, size_bytes};
  }
  void Moved(const std::string& path) {
    std::lock_guard lock(moving_mutex_);
    if (moving_.has_value() && moving_->path == path) moving_.reset();
  }
  std::optional<MovingFile> moving() const {
    std::lock_guard lock(moving_mutex_);
    return moving_;
  }

 private:
  const ReceiveOptions options_;
  StateNamer namer_;
  DirectIo direct_io_;
  ReceiveCounters counters_;
  std::atomic<bool> stopped_{false};
  std::atomic<int> full_{0};
  std::atomic<uint64_t> never_clones_{~uint64_t{0}};  // the last device of the source that refused
  RateMeter link_rate_;
  RateMeter delta_rate_;
  Semaphore chunk_searches_{kChunkSearches};
  mutable std::mutex moving_mutex_;
  std::optional<MovingFile> moving_;
};

}  // namespace uringsync
