// ApplyEngine: carries out the batches of one destination session, phase by phase, on all shards.
//
// Batches come in by Submit in order. Directories are made first, in order, by one coroutine; everything else is cut
// into chunks of one directory and taken by the shards' workers. A batch of another phase begins when everything before
// it has ended and is durable. Deletes come with children before parents; a directory is removed when all before it is
// gone.
//
// Thread rule: Start, Submit, Finish, Stop and the destructor on one thread that is no shard (Stop on any); results
// come through shared().report. Use:  ApplyEngine engine(runtime, root, options, sources, on_news);   engine.Start();
//       engine.Submit(batch); ...; engine.Finish();   ... until finished();   engine.Stop();
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "agent/apply_shared.h"
#include "agent/apply_worker.h"
#include "engine/coro/channel.h"
#include "engine/coro/scope.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/content_source.h"
#include "proto/messages.h"

namespace uringsync {

class ApplyEngine {
 public:
  // Batches received and not begun; more are a violation of the credit.
  static constexpr size_t kMaxQueuedBatches = 4096;
  // Actions of one chunk (one, where that is a large file): small enough to spread one directory over all shards, big
  // enough to keep a shard at one directory.
  static constexpr size_t kChunkActions = 64;
  // What has ended is made durable, and told to be, while a phase goes on: after kCheckpointPause, and so that it takes
  // one part of the time in kCheckpointShare.
  static constexpr std::chrono::milliseconds kCheckpointPause{1000};
  static constexpr int kCheckpointShare = 10;
  // Directories that wait for what is in them to be deleted.
  static constexpr size_t kDoomedDirectories = 256;

  // `sources`: one for each shard, outliving the engine. `on_news` as in ApplyReport; also called once when the engine
  // has finished.
  ApplyEngine(Runtime* runtime, DirectoryPtr root, ApplyOptions options, std::vector<ContentSource*> sources,
              std::function<void()> on_news);
  // Stops if that was not done.
  ~ApplyEngine();

  void Start();
  // ResourceExhausted when the peer sends more than its credit; InvalidArgument for a batch out of sequence.
  absl::Status Submit(ActionBatch batch);
  // No further batch will come.
  void Finish();
  // Everything submitted has ended and is as durable as it gets.
  bool finished() const { return finished_.load(); }
  // Ends everything soon: what is staged is removed, actions under way end without a result. Blocks until all
  // coroutines have ended. Idempotent.
  void Stop();

  // What is new, with totals. True when more is waiting.
  bool TakeProgress(ApplyProgress* progress);
  ApplyDone Done() const;
  ApplyShared& shared() { return shared_; }

 private:
  ApplyCounters Counters() const;
  Task<void> Intake(ApplyWorker* home);
  Task<void> Apply(ActionBatch batch, ApplyWorker* home);
  Task<void> MakeDirectories(std::vector<Action>* actions, BatchPtr batch, ApplyWorker* home);
  Task<void> RunInOrder(std::vector<Action> actions, BatchPtr batch, ApplyWorker* home);
  // Hands out chunks of at most `chunk_actions`.
  Task<void> Spread(std::vector<Action> actions, WorkChunk like, size_t chunk_actions);
  Task<void> Delete(std::vector<Action> actions, BatchPtr batch, ApplyWorker* home);
  Task<void> RemoveDirectories(ApplyWorker* home);
  Task<void> HandOut(Channel<WorkChunk>* queue, WorkChunk chunk);
  void Abandon(const BatchPtr& batch, size_t actions);
  // Makes what has ended durable now and then, until EndCheckpoints.
  Task<void> RunCheckpoints();
  void EndCheckpoints();
  // Makes everything durable that batches which have ended did, as far as it is not yet.
  Task<void> MakeDurable();
  // Waits for everything handed out and makes it durable.
  Task<void> EndPhase(ApplyWorker* home);
  Task<void> FinishBackups(ApplyWorker* home);
  // All files that were wanted have been begun: what is left of earlier sessions goes.
  absl::Status CloseJournal(ApplyWorker* home);
  void TellOfJournal(const absl::Status& closed);
  Task<void> RunWorker(ApplyWorker* worker);
  Task<void> EndWithoutParent(const Action* action, BatchPtr batch);

  Runtime* const runtime_;
  const std::function<void()> on_news_;
  ApplyShared shared_;
  std::vector<ContentSource*> sources_;
  std::vector<std::unique_ptr<ApplyWorker>> workers_;
  // nullopt: Finish.
  Channel<std::optional<ActionBatch>> inbox_{kMaxQueuedBatches};
  Scope running_;
  std::atomic<bool> intake_started_{false};
  std::atomic<bool> finished_{false};
  uint64_t last_sequence_ = 0;
  std::optional<Phase> phase_;
  std::unordered_set<std::string> failed_directories_;
  struct DoomedDirectory {
    BatchPtr batch;
    Action action;
  };
  std::vector<DoomedDirectory> doomed_directories_;  // in the order in which they came
  bool started_ = false;
  bool stopped_ = false;
  // Of the shard that takes batches in.
  Op checkpoint_pause_;
  bool checkpoint_pausing_ = false;
  bool checkpoints_over_ = false;
};

}  // namespace uringsync
