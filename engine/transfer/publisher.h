// Publisher: gives staged files their final names, made durable in batches before that.
//
// With sync, files wait until a batch is full or nothing more is coming; then all of them are fsynced in parallel over
// the ring, and renamed. A failed fsync invalidates the batch: what it covers must be staged again (the pages count as
// clean afterwards, so a second fsync would lie). Without sync each file is published at once.
//
// Thread rule: one shard.
// Use:  publisher.Begin();                                  // one object is being staged
//       ... fill ...
//       PublishResult result = co_await publisher.Commit(&staged, name, existing, bytes, alone);   // or
//       publisher.Abandon()
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "engine/base/entry.h"
#include "engine/coro/scope.h"
#include "engine/coro/task.h"
#include "engine/fs/atomic_file.h"
#include "engine/ring/driver.h"

namespace uringsync {

struct PublishResult {
  absl::Status status;  // of the rename, or of the fsync
  // The batch was invalidated by a failed fsync, or the file has to have a name from the start: contents must be staged
  // anew.
  bool stage_again = false;
};

class Publisher {
 public:
  // Descriptors and bytes that one batch holds.
  static constexpr size_t kBatchFiles = 192;
  static constexpr uint64_t kBatchBytes = uint64_t{64} << 20;
  // A file of more bytes leaves the page cache once it is on disk.
  static constexpr uint64_t kDropAboveBytes = uint64_t{1} << 20;

  // `drop_behind`: larger files do not stay in the page cache; they are written and rarely read again soon.
  Publisher(Driver* driver, bool sync, size_t batch_files = kBatchFiles, bool drop_behind = true);

  // An object is being staged: a waiting batch may wait for it.
  void Begin() { ++staging_; }
  // It will not be published after all.
  void Abandon();
  // More objects will be begun (true), or none for now: then what waits is published once nothing is being staged.
  void SetMoreComing(bool more);

  // Ends Begin(). Waits for the batch and publishes `object` as `name`; `bytes` is its weight. `alone`: in a batch of
  // its own (after a batch was invalidated). The object lives until the task ends.
  Task<PublishResult> Commit(StagedObject* object, const char* name, const std::optional<Entry>* existing,
                             uint64_t bytes, bool alone);
  // Joins the flushes under way; nothing may be waiting.
  Task<void> Drain();

 private:
  struct Item {
    StagedObject* object;
    const char* name;
    const std::optional<Entry>* existing;
    uint64_t bytes;
    PublishResult result;
    std::coroutine_handle<> waiter;
  };
  using Batch = std::vector<Item*>;
  void MaybeFlush();
  void StartFlush();
  Task<void> Flush(Batch batch);
  Task<void> SyncOne(Item* item);

  Driver* const driver_;
  const bool sync_;
  const bool drop_behind_;
  const size_t batch_files_;
  size_t staging_ = 0;
  bool more_coming_ = false;
  Batch batch_;
  uint64_t batch_bytes_ = 0;
  Scope flushes_;
};

}  // namespace uringsync
