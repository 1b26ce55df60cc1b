// DeltaJob: one file that is put together from its old contents and what differs, as all shards see it.
//
// Thread rule: as noted; the rest is set before the workers start.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/delta/chunk_index.h"
#include "engine/delta/decision.h"
#include "engine/delta/signature.h"
#include "engine/fs/direct_io.h"
#include "engine/fs/directory.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/arrived_prefix.h"
#include "engine/transfer/content_source.h"
#include "engine/transfer/delta_buffers.h"
#include "engine/transfer/delta_fetch.h"
#include "engine/transfer/receive_shared.h"
#include "engine/transfer/written_contents.h"

namespace uringsync {

// The old file. Its bytes are proposals only, so that it may change while it is read.
struct DeltaBasis {
  UniqueFd fd;
  UniqueFd direct;  // past the page cache; may be invalid
  uint64_t size_bytes = 0;
  // It is what came of the very file before: what is right lies at its own offsets.
  bool part = false;
  // With `part`: as far as can be told without looking into it, it is all of the file, under another name. Used
  // whatever the policy says.
  bool moved = false;

  DataFile data() const { return {fd.get(), direct.get()}; }
};
// `name` in `dirfd`, not followed, if it is the file that was planned against and holds data; null otherwise: then the
// file is sent whole.
std::shared_ptr<DeltaBasis> OpenBasis(Driver* driver, int dirfd, const char* name, const Entry& existing,
                                      DirectIo* direct_io);

// Where a file's work runs: each shard with its own source and buffers.
struct DeltaLane {
  Shard* shard = nullptr;
  ContentSource* source = nullptr;
  DeltaBuffers* buffers = nullptr;
};

// What a worker takes at once.
constexpr uint64_t kDeltaRangeBytes = 8 * kLeafBytes;
// Ranges of one file that one shard has under way: each waits for digests before it can read.
constexpr size_t kDeltaWorkersPerShard = 6;

struct DeltaJob {
  ReceiveShared* shared = nullptr;
  LeafKey leaf_key{};
  FileRequest request;  // identity of the source's file; ranges and kinds are filled in
  const DeltaBasis* basis = nullptr;
  DataFile file;  // the staged one
  WrittenContents* written = nullptr;  // hears what its leaves are; null: nobody asks
  uint64_t size_bytes = 0;
  bool cloned = false;             // the staged file began with extents of the old one
  CopyPlan clones;                 // bytes that are in the staged file already
  CopyPlan copies;                 // bytes that may come from the old file
  std::vector<LeafRecord> leaves;  // kChunks: of the whole file; empty: asked for range by range

  ArrivedPrefix arrived;
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> done_bytes{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  FetchOutcome outcome;  // the first failure

  FileRequest Ask(RequestKind kind, uint64_t offset, uint64_t length, uint32_t unit_bytes = 0) const {
    FileRequest asked = request;
    asked.kind = kind;
    asked.offset = offset;
    asked.length = length;
    asked.unit_bytes = unit_bytes;
    return asked;
  }
  bool stopped() const { return failed.load(std::memory_order_relaxed) || shared->stopped(); }
  void Fail(FetchOutcome why) {
    std::lock_guard lock(mutex);
    if (!outcome.ok()) return;
    outcome = std::move(why);
    failed.store(true);
  }
};

}  // namespace uringsync
