// SourceSession: the agent's side of a source: its manifest, and contents for whoever holds the session's token.
//
// Thread rule: the session's thread, but for what LiveSource says. Held by shared_ptr: a destination in the same agent
// may outlive the control stream by the moment it needs to notice.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent/bench_runner.h"
#include "agent/peer_dials.h"
#include "agent/session_filter.h"
#include "agent/session_handler.h"
#include "agent/session_outbox.h"
#include "agent/session_root.h"
#include "agent/session_systems.h"
#include "agent/session_table.h"
#include "agent/source_snapshot.h"
#include "engine/coro/cancel.h"
#include "engine/coro/scope.h"
#include "engine/fs/link_follower.h"
#include "engine/transfer/reply_compressor.h"
#include "engine/transfer/throttle.h"
#include "engine/tree/directory_listing.h"

namespace uringsync {

class SourceSession final : public LiveSource, public std::enable_shared_from_this<SourceSession> {
 public:
  SourceSession(const AgentContext& context, OpenSession open, SessionOutbox* outbox);

  // Finds the root, registers the session and says SessionOpened, or fails the outbox.
  void Start();
  bool opened() const { return opened_.load(std::memory_order_acquire); }
  // What the session's rules leave out. To be read after the opening.
  const ScanFilter& filter() const { return filter_; }
  // What is read: the session's directory, or what it was in a snapshot.
  DirectoryPtr root() const { return read_root_; }
  // Null: the session's tree is the root's.
  const std::shared_ptr<const TreeView>& view() const { return view_; }

  // Links of the tree that are followed; nullopt: none. To be read after the opening, without a view.
  std::optional<ScanLinks> links() const;

  // ConnectData: opens data connections to a destination that accepts, and serves them.
  absl::Status Connect(const ConnectData& where);
  // On the session's own thread.
  MountReply Mounts(const MountQuery& query);
  // Removes what the delete actions of `batch` name, of a session with remove_sources: objects that are still what they
  // were, no directories. Answers with an ApplyProgress.
  absl::Status Remove(const ActionBatch& batch);
  // RunBench. From kNetwork on, data connections get made-up contents.
  absl::Status Measure(const RunBench& run);
  // Ends every connection and waits for what runs for it. Idempotent.
  void Stop();

  const SessionToken& token() const override { return open_.token; }
  absl::StatusOr<std::unique_ptr<SourceReader>> MakeReader(Shard* shard) override;
  Task<absl::Status> Serve(std::unique_ptr<ReplyChannel> channel) override;
  void Break(const std::string& why) override;

 private:
  Task<void> Open();
  // What is read instead of the live tree; fails the outbox where that has to be and cannot.
  bool TakeSnapshot(Driver* driver, SessionOpened* opened);
  Task<void> RemoveSnapshot();
  void TellWithoutSnapshot(const absl::Status& why);
  Task<void> LookAtMounts(const MountQuery* query, MountReply* reply);
  Task<void> RemoveAll(const ActionBatch* batch, ApplyProgress* progress);
  // An object of the source.
  struct Located {
    DirectoryPtr directory;
    std::string name;
    std::optional<FollowBase> links;  // of the object
    LinkPlace place() const { return {directory->fd(), name.c_str(), *links}; }
  };
  absl::StatusOr<Located> Find(Driver* driver, DirectoryCache* directories, const Action& action);
  absl::Status RemoveLocated(Driver* driver, const Located& located, const Entry& wanted);
  SourceReaderOptions ReaderOptions();
  Task<void> DialLoop(size_t shard);
  // Any thread, also after Stop.
  void Tell(std::string notice);

  const AgentContext context_;
  const OpenSession open_;
  SessionOutbox* const outbox_;
  SessionRoot root_;
  SessionSystems systems_;
  ScanFilter filter_;
  std::shared_ptr<const TreeView> view_;
  SourceSnapshot snapshot_;
  DirectoryPtr read_root_;  // the snapshot's, or that of root_; set before anything is read
  std::atomic<bool> told_without_snapshot_{false};
  std::optional<FollowBase> links_;
  // Of all connections and readers of the session; null where nobody asked for it.
  std::unique_ptr<SharedCompression> compression_;
  std::unique_ptr<Throttle> throttle_;
  mutable PageCacheMemory page_cache_;
  std::mutex notice_mutex_;
  bool muted_ = false;  // under the lock: the control stream may be gone
  mutable DirectIo direct_io_;
  CancelSource cancel_;
  std::optional<PeerDials> dials_;  // once there was ConnectData
  Scope opening_;
  Scope running_;
  std::unique_ptr<BenchRunner> bench_;
  std::atomic<bool> generated_{false};
  std::atomic<bool> opened_{false};
  std::atomic<bool> ever_served_{false};
  uint64_t removal_batches_ = 0;
  bool registered_ = false;
  bool stopped_ = false;
};

}  // namespace uringsync
