// DestinationSession: the agent's side of a destination: lock, manifest, actions, and the way to the contents.
//
// Thread rule: the session's thread, but for what LiveDestination says.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/apply_engine.h"
#include "agent/bench_runner.h"
#include "agent/lock_holders.h"
#include "agent/peer_dials.h"
#include "agent/resume_journal.h"
#include "agent/session_filter.h"
#include "agent/session_handler.h"
#include "agent/session_outbox.h"
#include "agent/session_root.h"
#include "agent/session_systems.h"
#include "agent/session_table.h"
#include "engine/coro/cancel.h"
#include "engine/coro/scope.h"
#include "engine/fs/subtree_lock.h"
#include "engine/transfer/remote_source.h"
#include "engine/tree/directory_listing.h"

namespace uringsync {

class DestinationSession final : public LiveDestination, public std::enable_shared_from_this<DestinationSession> {
 public:
  // Without any data connection for this long, a session that needs one gives up.
  static constexpr std::chrono::seconds kNoConnectionLimit{60};

  DestinationSession(const AgentContext& context, OpenSession open, SessionOutbox* outbox);

  // Finds or makes the root, locks it, begins to connect, and says SessionOpened, or fails the outbox.
  void Start();
  bool opened() const { return opened_.load(std::memory_order_acquire); }
  // What the session's rules leave out. To be read after the opening.
  const ScanFilter& filter() const { return filter_; }
  const DirectoryPtr& root() const { return root_.directory; }
  // The part of the root's tree that is compared; null: all of it.
  const std::shared_ptr<const TreeView>& view() const { return view_; }
  // Nobody else writes anywhere in the tree.
  // Links to directories that the manifest tells with what is there; nullopt: none. To be read after the opening,
  // without a view.
  std::optional<ScanLinks> links() const;
  bool owns_tree() const { return !shares_root_; }
  // Temporaries of dead sessions that went before the tree is scanned. To be read after the opening.
  uint64_t strays_removed() const { return strays_removed_; }

  absl::Status Submit(ActionBatch batch);
  absl::Status Finish();
  // RunBench; a session that measures applies nothing.
  absl::Status Measure(const RunBench& run);
  // Ends everything and waits for it; temporaries are removed, the lock is released. Idempotent.
  void Stop();

  // The manifest was asked for: actions are likely to follow. Where the coordinator is far away the source may be, too,
  // and is connected to now, which takes several round trips.
  void ExpectActions();

  // For the outbox: progress and, once, the end.
  bool Poll(bool tick, AgentMessage* message);

  const SessionToken& token() const override { return open_.token; }
  Task<absl::Status> Use(std::unique_ptr<RequestChannel> channel) override;
  void Break(const std::string& why) override;

 private:
  Task<void> Open();
  Task<absl::Status> Lock();
  // Has a session that has lost its coordinator end in favour of this one.
  LockWay AskForWay();
  void HoldTheWay(const SessionOpened& opened);
  // kAccept: lets the data server hand over connections of the source.
  absl::Status AwaitSource();
  // At the first batch.
  absl::Status StartOnce();
  absl::Status UseLocalSource();
  absl::Status OpenBasisDirectories(Driver* driver);
  absl::Status OpenBackup(Driver* driver);
  absl::Status OpenStaging(Driver* driver);
  // Connects to a source that listens; once.
  void DialSource();
  void MakeRemoteSources();
  void MakeEngine();
  absl::StatusOr<std::vector<ContentSource*>> SourcesToMeasure();
  Task<void> DialLoop(size_t shard);
  // No connection to the source is left to hope for. Fails the session as soon as it needs one.
  void LoseSource(ErrorKind kind, std::string text);
  absl::Status NeedSource();
  Task<void> TakeBackRoot();
  Task<void> CloseResume();
  Task<void> CloseSource(RemoteContentSource* source, absl::Status reason);
  void WatchConnections();
  Task<void> FailForLackOfConnections();
  void TellOfConnections(bool connected, std::chrono::steady_clock::time_point now);
  Task<void> Tell(std::string notice);

  const AgentContext context_;
  const OpenSession open_;
  SessionOutbox* const outbox_;
  SessionRoot root_;
  SessionSystems systems_;
  bool keeps_owners_ = true;  // as far as the root's file system is concerned; written before opened_
  std::optional<FollowBase> links_;
  std::vector<DirectoryPtr> basis_directories_;  // written before opened_
  ScanFilter filter_;
  std::optional<BackupTarget> backup_;  // likewise
  StagingTarget staging_;               // likewise
  std::shared_ptr<const TreeView> view_;
  bool shares_root_ = false;  // written before opened_
  uint64_t strays_removed_ = 0;  // likewise
  SubtreeLock lock_;
  LockHolders::Hold way_;  // for those who come after this session
  std::unique_ptr<ResumeJournal> resume_;  // of a session that writes
  CancelSource cancel_;
  std::shared_ptr<LiveSource> local_source_;
  std::vector<std::unique_ptr<ContentSource>> sources_;
  std::vector<RemoteContentSource*> remote_;  // of sources_, empty for a local route
  std::vector<std::atomic<int>> dialers_;     // live dial loops of each shard
  std::optional<PeerDials> dials_;            // once the source was dialled
  std::atomic<bool> ever_connected_{false};   // a data connection was there
  std::mutex lost_mutex_;
  bool source_needed_ = false;                           // guarded by lost_mutex_, as is lost_
  std::optional<SessionError> lost_;                     // told when the source is needed
  bool writes_ = false;                                  // written before opened_
  SessionOpened destination_;                            // likewise
  std::chrono::steady_clock::time_point told_opened_{};  // likewise
  std::unique_ptr<ApplyEngine> engine_;
  std::unique_ptr<BenchRunner> bench_;
  std::atomic<bool> engine_ready_{false};  // lets the outbox's thread look at engine_
  Scope opening_;
  Scope running_;
  std::atomic<bool> opened_{false};
  std::atomic<bool> finish_asked_{false};
  std::atomic<bool> nothing_to_do_{false};  // FinishApply came without a batch
  // Of the outbox's thread.
  bool done_told_ = false;
  uint64_t told_sequence_ = 0;
  uint64_t told_durable_ = 0;
  std::chrono::steady_clock::time_point last_connected_{};
  bool was_connected_ = false;
  bool told_lost_ = false;
  int losses_told_ = 0;
  bool registered_ = false;
  bool stopped_ = false;
  std::mutex break_mutex_;
  bool unbreakable_ = false;  // under the lock: the outbox may be gone
};

}  // namespace uringsync
