// ApplyShared: what the parts of one destination session share while actions are carried out.
//
// Thread rule: as noted at each member; the object outlives every coroutine of the session.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/apply_report.h"
#include "agent/backup.h"
#include "agent/in_place_inodes.h"
#include "agent/loosened_modes.h"
#include "agent/partial_files.h"
#include "agent/resume_journal.h"
#include "agent/room_watch.h"
#include "engine/coro/channel.h"
#include "engine/fs/directory.h"
#include "engine/fs/tree_view.h"
#include "engine/transfer/failure.h"
#include "engine/transfer/readback.h"
#include "engine/transfer/receive_shared.h"
#include "proto/messages.h"

namespace uringsync {

// StagingSettings with their places found.
struct StagingTarget {
  bool keep_partial = false;
  PartialTarget parts;
  AppendMode append = AppendMode::kNone;
  DirectoryPtr temporaries;  // null: each file is put together in its own directory
  bool delay_updates = false;
  uint32_t fuzzy = 0;
  bool preallocate = false;
};

struct ApplyOptions {
  MetadataSelection selection;
  Durability durability = Durability::kBatch;
  bool sparse = true;
  bool background = false;
  // The file system keeps nothing over a power cut (tmpfs, ramfs): syncing it would only cost.
  bool volatile_file_system = false;
  uint32_t time_granularity_ns = 1;
  TimeRange time_range;
  uint64_t digest_seed = 0;
  LeafSecret leaf_secret{};
  uint64_t session_tag = 0;
  ProcessCapabilities capabilities;
  DeltaPolicy delta = DeltaPolicy::kOff;
  uint32_t delta_block_bytes = 0;
  ReflinkMode reflink = ReflinkMode::kAuto;
  DirectIoMode direct_io = DirectIoMode::kAuto;
  DirectIo::OnRefused on_direct_refused;
  // Descriptors that the session may hold open for staged files, all shards together.
  size_t staged_descriptors = 384;
  // Trees that Action::basis refers to.
  std::vector<DirectoryPtr> basis_directories;
  // What is replaced or deleted is kept.
  std::optional<BackupTarget> backup;
  bool may_delete = true;
  bool readback = false;  // as in OpenSession
  bool in_place = false;
  bool write_devices = false;  // contents for a device go into it
  // Symlinks to directories below the root count as directories (--keep-dirlinks).
  bool keep_directory_links = false;
  StagingTarget staging;
  ResumeJournal* resume = nullptr;  // of large files; null: what is not finished goes when the session ends
  bool copy_unstable = false;       // as in OpenSession
  bool as_planned = false;
  // What of the root's tree is in the transfer, and may be made writable for the run; null: all of it.
  std::shared_ptr<const TreeView> view;
  // What is known of the file systems of the session.
  std::shared_ptr<FileSystems> systems;
  // Contents come from this very process: copying them from the destination's own files instead would gain nothing.
  bool source_is_near = false;

  bool sync() const { return durability != Durability::kNone && !volatile_file_system; }
  // Each action ends only when what it did is on disk. Files that wait for each other get their names too late for it.
  bool sync_each() const { return sync() && durability == Durability::kFile && !staging.delay_updates; }
  ReceiveOptions ForReceive() const {
    return {.digest_seed = digest_seed,
            .leaf_secret = leaf_secret,
            .session_tag = session_tag,
            .background = background,
            .sparse = sparse,
            .sync = sync(),
            .selection = selection,
            .capabilities = capabilities,
            .delta = delta,
            .delta_block_bytes = delta_block_bytes,
            .reflink = reflink,
            .direct_io = direct_io,
            .on_direct_refused = on_direct_refused,
            .copy_unstable = copy_unstable,
            .as_planned = as_planned,
            .systems = systems};
  }
};

// Actions of one batch and one directory, to be carried out in any order.
struct WorkChunk {
  BatchPtr batch;
  std::vector<Action> actions;
  bool deletes = false;  // all of them, and none of a directory
};

// Counts actions that were handed out; one coroutine waits until none is left.
class ActionBarrier {
 public:
  void Add(size_t actions) { running_.fetch_add(actions, std::memory_order_relaxed); }
  void Done() {
    if (running_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    std::lock_guard lock(mutex_);
    if (waiter_ && running_.load() == 0) executor_->Post(std::exchange(waiter_, nullptr));
  }
  struct Awaiter {
    ActionBarrier* barrier;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      std::lock_guard lock(barrier->mutex_);
      if (barrier->running_.load() == 0) return false;
      barrier->waiter_ = handle;
      barrier->executor_ = Executor::Current();
      return true;
    }
    void await_resume() const noexcept {}
  };
  // Resumes when nothing runs. One waiter, the only one that calls Add.
  Awaiter Wait() { return Awaiter{this}; }

 private:
  std::atomic<size_t> running_{0};
  std::mutex mutex_;
  std::coroutine_handle<> waiter_;
  Executor* executor_ = nullptr;
};

struct ApplyShared {
  // Chunks that wait for a shard.
  static constexpr size_t kQueuedChunks = 64;

  ApplyShared(DirectoryPtr root_directory, ApplyOptions apply_options, std::function<void()> on_news)
      : root(std::move(root_directory)),
        options(std::move(apply_options)),
        receive(options.ForReceive()),
        basis_receive(options.ForReceive()),
        in_place_receive(ForInPlace(options.ForReceive())),
        report(std::move(on_news), options.sync_each()) {}

  static ReceiveOptions ForInPlace(ReceiveOptions options) {
    options.sparse = false;
    options.delta = DeltaPolicy::kOff;
    options.reflink = ReflinkMode::kNever;
    options.direct_io = DirectIoMode::kOff;
    return options;
  }

  // Where links to directories are followed; nullopt: nowhere.
  std::optional<FollowBase> links() const {
    if (!options.keep_directory_links) return std::nullopt;
    return FollowBase{.directory = root, .beneath = true};
  }

  const DirectoryPtr root;
  const ApplyOptions options;
  ReceiveShared receive;
  // For what is copied from basis directories: it counts as matched, not as received.
  ReceiveShared basis_receive;
  // For what is written over old contents: all of it is written, holes as zeros.
  ReceiveShared in_place_receive;
  RoomWatch room{&receive};
  Readback readback{options.on_direct_refused};
  ApplyReport report;
  Channel<WorkChunk> work{kQueuedChunks};
  // Large files, one a chunk: a shard takes the next one when the ranges of its last one are given away, so that each
  // shard has an inode of its own to write to.
  Channel<WorkChunk> large_work{kQueuedChunks};
  ActionBarrier barrier;
  // Directory descriptors cached by any shard are dropped when this moves.
  std::atomic<uint64_t> directory_epoch{0};
  std::atomic<uint64_t> files_published{0};
  std::atomic<uint64_t> skipped_devices{0};
  // Directories that could not be made, which was told: their metadata is not missed a second time. Any thread.
  class UnmadeDirectories {
   public:
    void Add(const RelPath& path) {
      std::lock_guard lock(mutex_);
      paths_.insert(path.text());
    }
    bool Contains(const RelPath& path) const {
      std::lock_guard lock(mutex_);
      return paths_.contains(path.text());
    }

   private:
    mutable std::mutex mutex_;
    std::unordered_set<std::string> paths_;
  };
  UnmadeDirectories unmade;
  InPlaceInodes in_place_inodes;
  LoosenedModes loosened;
  // Files that are whole and wait for their names (StagingSettings::delay_updates): some 400 bytes each. Any thread.
  class DelayedFiles {
   public:
    void Add(Action action) {
      std::lock_guard lock(mutex_);
      actions_.push_back(std::move(action));
    }
    std::vector<Action> Take() {
      std::lock_guard lock(mutex_);
      return std::exchange(actions_, {});
    }

   private:
    std::mutex mutex_;
    std::vector<Action> actions_;
  };
  DelayedFiles delayed;
  // Files that something else takes the place of while others are still to be made from them
  // (ActionOrigin::Fate::kReplaced): a second name each until the action with that id has opened it. Any thread.
  class HeldFiles {
   public:
    // More than these are not held: what would be made from them is sent.
    static constexpr size_t kMaxHeld = 65536;
    struct Name {
      RelPath directory;
      std::string temporary;
    };
    bool full() const {
      std::lock_guard lock(mutex_);
      return names_.size() >= kMaxHeld;
    }
    void Add(uint64_t action, Name name) {
      std::lock_guard lock(mutex_);
      names_.insert_or_assign(action, std::move(name));
    }
    std::optional<Name> Take(uint64_t action) {
      std::lock_guard lock(mutex_);
      auto node = names_.extract(action);
      return node.empty() ? std::nullopt : std::optional(std::move(node.mapped()));
    }
    std::unordered_map<uint64_t, Name> TakeAll() {
      std::lock_guard lock(mutex_);
      return std::exchange(names_, {});
    }

   private:
    mutable std::mutex mutex_;
    std::unordered_map<uint64_t, Name> names_;
  };
  HeldFiles held;
  std::atomic<uint64_t> files_renamed{0};
  std::atomic<uint64_t> files_verified{0};
  std::atomic<uint64_t> files_restaged{0};
  std::atomic<bool> sync_incomplete{false};  // something could not be made durable
};

// The Problem of `action` for a failure in transfer or at the destination.
Problem MakeProblem(const Action& action, TransferFailure failure);

}  // namespace uringsync
