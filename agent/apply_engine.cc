#include "agent/apply_engine.h"

#include <string_view>
#include <utility>

#include "agent/join_scope.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

bool AreSiblings(const RelPath& a, const RelPath& b) {
  const auto parent = [](const RelPath& path) {
    return std::string_view(path.text()).substr(0, path.text().size() - path.name().size());
  };
  return parent(a) == parent(b);
}

}  // namespace

ApplyEngine::ApplyEngine(Runtime* runtime, DirectoryPtr root, ApplyOptions options, std::vector<ContentSource*> sources,
                         std::function<void()> on_news)
    : runtime_(runtime),
      on_news_(on_news),
      shared_(std::move(root), std::move(options), std::move(on_news)),
      sources_(std::move(sources)) {
  for (size_t i = 0; i < sources_.size(); ++i)
    workers_.push_back(std::make_unique<ApplyWorker>(&runtime_->shard(i), &shared_, sources_[i], sources_.size()));
  std::vector<Receiver*> receivers;
  std::vector<Receiver*> in_place;
  for (const std::unique_ptr<ApplyWorker>& worker : workers_) {
    receivers.push_back(worker->receiver());
    in_place.push_back(worker->in_place_receiver());
  }
  for (const std::unique_ptr<ApplyWorker>& worker : workers_) {
    worker->receiver()->SetPeers(receivers);
    worker->in_place_receiver()->SetPeers(in_place);
  }
}

ApplyEngine::~ApplyEngine() {
  Stop();
}

void ApplyEngine::Start() {
  started_ = true;
  for (const std::unique_ptr<ApplyWorker>& worker : workers_)
    running_.SpawnOn(worker->shard(), RunWorker(worker.get()));
}

absl::Status ApplyEngine::Submit(ActionBatch batch) {
  if (batch.sequence != last_sequence_ + 1) return absl::InvalidArgumentError("an action batch came out of sequence");
  for (const Action& action : batch.actions) {
    if (action.basis && action.basis->directory >= shared_.options.basis_directories.size())
      return absl::InvalidArgumentError("an action names a basis directory that the session does not have");
  }
  last_sequence_ = batch.sequence;
  std::optional<ActionBatch> value = std::move(batch);
  if (!inbox_.TrySend(&value)) return absl::ResourceExhaustedError("more action batches than there was credit for");
  return absl::OkStatus();
}

void ApplyEngine::Finish() {
  std::optional<ActionBatch> end;
  inbox_.BlockingSend(std::move(end));
}

void ApplyEngine::Stop() {
  if (stopped_) return;
  stopped_ = true;
  shared_.receive.Stop();
  shared_.basis_receive.Stop();
  shared_.in_place_receive.Stop();
  inbox_.Close();
  for (Channel<WorkChunk>* queue : {&shared_.work, &shared_.large_work}) {
    queue->Close();
    // Workers whose source is gone for good take no more chunks.
    while (std::optional<WorkChunk> chunk = queue->TryReceive()) Abandon(chunk->batch, chunk->actions.size());
  }
  if (started_) BlockOn(&runtime_->shard(0), JoinScope(&running_));
  if (started_) {
    Scope restoring;
    restoring.SpawnOn(workers_.front()->shard(), workers_.front()->RestoreModes());
    BlockOn(&runtime_->shard(0), JoinScope(&restoring));
  }
  // Directory descriptors and staged objects belong to their shards, which have let go of them by now.
  workers_.clear();
}

// A shard takes part once its source is usable; the first one also takes batches in and makes directories.
Task<void> ApplyEngine::RunWorker(ApplyWorker* worker) {
  absl::Status usable = co_await worker->source()->WaitUsable();
  if (!usable.ok()) co_return;
  if (!intake_started_.exchange(true)) running_.Spawn(Intake(worker));
  co_await worker->Run();
}

Task<void> ApplyEngine::Intake(ApplyWorker* home) {
  // Where files wait for each other only the end of a phase makes them durable.
  const ApplyOptions& options = shared_.options;
  if (options.sync() && !options.sync_each() && !options.staging.delay_updates) running_.Spawn(RunCheckpoints());
  while (true) {
    std::optional<std::optional<ActionBatch>> next = co_await inbox_.Receive();
    if (!next.has_value() || shared_.receive.stopped()) break;
    if (!next->has_value()) {
      co_await FinishBackups(home);
      co_await EndPhase(home);
      TellOfJournal(CloseJournal(home));
      co_await home->RestoreModes();
      EndCheckpoints();
      finished_ = true;
      on_news_();
      break;
    }
    co_await Apply(**std::move(next), home);
  }
  EndCheckpoints();
  co_await RemoveDirectories(home);
  co_await shared_.barrier.Wait();
  shared_.work.Close();
  shared_.large_work.Close();
}

absl::Status ApplyEngine::CloseJournal(ApplyWorker* home) {
  ResumeJournal* const journal = shared_.options.resume;
  if (journal == nullptr) return absl::OkStatus();
  journal->Drop(home->context().driver);
  return journal->Close(home->context().driver);
}

void ApplyEngine::TellOfJournal(const absl::Status& closed) {
  Action root;
  root.kind = ActionKind::kSetMetadata;
  if (!closed.ok()) shared_.report.AddProblem(MakeProblem(root, DestinationFailure(closed, "resume journal")));
}

Task<void> ApplyEngine::FinishBackups(ApplyWorker* home) {
  if (!shared_.options.backup) co_return;
  co_await RemoveDirectories(home);
  co_await shared_.barrier.Wait();
  Scope finishing;
  for (const std::unique_ptr<ApplyWorker>& worker : workers_)
    finishing.SpawnOn(worker->shard(), worker->FinishBackups());
  co_await finishing.Join();
}

Task<void> ApplyEngine::EndPhase(ApplyWorker* home) {
  co_await RemoveDirectories(home);
  co_await shared_.barrier.Wait();
  co_await home->PublishDelayed();
  home->DropHeld();
  const bool syncs = shared_.options.sync() && !shared_.options.sync_each();
  if (syncs && !shared_.receive.stopped()) co_await MakeDurable();
}

Task<void> ApplyEngine::Apply(ActionBatch batch, ApplyWorker* home) {
  if (phase_.has_value() && *phase_ != batch.phase) {
    co_await EndPhase(home);
    // Deletes may have made room.
    shared_.room.Reset();
    failed_directories_.clear();
  }
  if (batch.phase == Phase::kDirectoryMetadata && phase_ != batch.phase) {
    // What goes now moves no directory's time for good, and needs a root that may be written to. What cannot go is told
    // at the end.
    CloseJournal(home).IgnoreError();
    co_await home->RestoreModes();
  }
  phase_ = batch.phase;
  BatchPtr state = shared_.report.BeginBatch(batch.sequence, batch.actions.size());
  if (batch.phase == Phase::kDelete) {
    co_await Delete(std::move(batch.actions), state, home);
    co_return;
  }
  // Counted before anything is handed out, so that the barrier cannot open in between.
  shared_.barrier.Add(batch.actions.size());
  const bool privileged = shared_.options.capabilities.can_override_owner;
  // A directory's own mode may shut out whoever is not privileged: then children go strictly before parents.
  if (batch.phase == Phase::kDirectoryMetadata && !privileged) {
    co_await RunInOrder(std::move(batch.actions), state, home);
    co_return;
  }
  home->HoldOrigins(batch.actions);
  co_await MakeDirectories(&batch.actions, state, home);
  co_await Spread(std::move(batch.actions), {state, {}}, kChunkActions);
}

Task<void> ApplyEngine::RunInOrder(std::vector<Action> actions, BatchPtr batch, ApplyWorker* home) {
  Scope ends;
  for (const Action& action : actions) co_await home->RunAlone(&action, batch, &ends);
  co_await ends.Join();
  // Other shards may hold descriptors of directories that are gone.
  shared_.directory_epoch.fetch_add(1);
}

// Children come before their directories: when everything before a directory has ended it is empty, and so whatever is
// no directory can go at once, on all shards, as long as directories wait for it.
Task<void> ApplyEngine::Delete(std::vector<Action> actions, BatchPtr batch, ApplyWorker* home) {
  std::vector<Action> others;
  for (Action& action : actions) {
    if (DoomedObject(action).type == FileType::kDirectory) {
      doomed_directories_.push_back({batch, std::move(action)});
    } else {
      others.push_back(std::move(action));
    }
  }
  shared_.barrier.Add(others.size());
  // Two shards in one directory would wait for its lock.
  co_await Spread(std::move(others), {batch, {}, /*deletes=*/true}, kMaxActionsPerBatch);
  // Batches that have not ended hold credit: what the peer cannot go on without is not put off.
  if (inbox_.size() == 0 || doomed_directories_.size() >= kDoomedDirectories) co_await RemoveDirectories(home);
}

Task<void> ApplyEngine::RemoveDirectories(ApplyWorker* home) {
  if (doomed_directories_.empty()) co_return;
  co_await shared_.barrier.Wait();
  std::vector<DoomedDirectory> directories = std::exchange(doomed_directories_, {});
  shared_.barrier.Add(directories.size());
  Scope ends;
  for (const DoomedDirectory& directory : directories)
    co_await home->RunAlone(&directory.action, directory.batch, &ends);
  co_await ends.Join();
  // Other shards may hold descriptors of directories that are gone.
  shared_.directory_epoch.fetch_add(1);
}

Task<void> ApplyEngine::EndWithoutParent(const Action* action, BatchPtr batch) {
  TransferFailure failure{FailureKind::kFailed, false, "open", 0, "its directory could not be made"};
  shared_.report.AddProblem(MakeProblem(*action, std::move(failure)));
  shared_.report.ActionDone(batch);
  shared_.barrier.Done();
  co_return;
}

// Runs the kMakeDirectory actions and takes them, and what lies in a directory that could not be made, out of
// `actions`.
Task<void> ApplyEngine::MakeDirectories(std::vector<Action>* actions, BatchPtr batch, ApplyWorker* home) {
  size_t kept = 0;
  Scope ends;
  for (size_t i = 0; i < actions->size(); ++i) {
    Action& action = (*actions)[i];
    const bool directory = action.kind == ActionKind::kMakeDirectory;
    if (!failed_directories_.empty() && failed_directories_.contains(action.path.Parent().text())) {
      if (directory) {
        failed_directories_.insert(action.path.text());
        shared_.unmade.Add(action.path);
      }
      co_await EndWithoutParent(&action, batch);
      continue;
    }
    if (!directory) {
      if (kept != i) (*actions)[kept] = std::move(action);
      ++kept;
      continue;
    }
    std::optional<TransferFailure> failure;
    if (!shared_.receive.stopped()) failure = co_await home->MakeDirectory(&action);
    if (failure.has_value()) {
      failed_directories_.insert(action.path.text());
      shared_.unmade.Add(action.path);
    }
    ends.Spawn(home->EndDurably(std::move(action), batch, std::move(failure)));
  }
  // What is made in them must not be told to be on disk before they are.
  co_await ends.Join();
  actions->resize(kept);
}

Task<void> ApplyEngine::Spread(std::vector<Action> actions, WorkChunk like, size_t chunk_actions) {
  WorkChunk chunk = like;
  for (Action& action : actions) {
    if (action.kind == ActionKind::kPutFile && action.wanted.size_bytes > kSmallFileBytes) {
      WorkChunk large = like;
      large.actions.push_back(std::move(action));
      co_await HandOut(&shared_.large_work, std::move(large));
      continue;
    }
    const bool full = chunk.actions.size() >= chunk_actions;
    if (!chunk.actions.empty() && (full || !AreSiblings(chunk.actions.back().path, action.path)))
      co_await HandOut(&shared_.work, std::exchange(chunk, like));
    chunk.actions.push_back(std::move(action));
  }
  if (!chunk.actions.empty()) co_await HandOut(&shared_.work, std::move(chunk));
}

Task<void> ApplyEngine::HandOut(Channel<WorkChunk>* queue, WorkChunk chunk) {
  BatchPtr batch = chunk.batch;
  size_t actions = chunk.actions.size();
  bool taken = co_await queue->Send(std::move(chunk));
  if (!taken) Abandon(batch, actions);
}

// The session is stopping: nobody will carry them out, but whoever waits for them must not wait for ever.
void ApplyEngine::Abandon(const BatchPtr& batch, size_t actions) {
  for (size_t i = 0; i < actions; ++i) {
    shared_.report.ActionDone(batch);
    shared_.barrier.Done();
  }
}

ApplyCounters ApplyEngine::Counters() const {
  ApplyCounters counters;
  const ReceiveCounters& received = shared_.receive.counters();
  counters.actions_done = shared_.report.actions_done();
  counters.files_published = shared_.files_published.load();
  const ReceiveCounters& over = shared_.in_place_receive.counters();
  counters.bytes_received = received.bytes_received.load() + over.bytes_received.load();
  const ReceiveCounters& copied = shared_.basis_receive.counters();
  counters.bytes_matched = received.bytes_matched.load() + copied.bytes_received.load();
  counters.bytes_cloned = received.bytes_cloned.load() + copied.bytes_cloned.load();
  counters.bytes_written = received.bytes_written.load() + copied.bytes_written.load() + over.bytes_written.load();
  counters.retries = received.retries.load() + over.retries.load();
  counters.skipped_owner = received.skipped_owner.load() + over.skipped_owner.load();
  counters.skipped_xattrs = received.skipped_xattrs.load() + over.skipped_xattrs.load();
  counters.skipped_devices = shared_.skipped_devices.load();
  counters.files_renamed = shared_.files_renamed.load();
  counters.files_verified = shared_.files_verified.load();
  counters.files_restaged = shared_.files_restaged.load();
  for (const ContentSource* source : sources_) counters.wire_bytes += source->wire_bytes();
  return counters;
}

bool ApplyEngine::TakeProgress(ApplyProgress* progress) {
  bool more = shared_.report.Take(progress);
  progress->counters = Counters();
  if (std::optional<MovingFile> moving = shared_.receive.moving(); moving.has_value()) {
    absl::StatusOr<RelPath> path = RelPath::Parse(moving->path);
    if (path.ok()) progress->current_file = *std::move(path);
    progress->current_bytes = moving->done_bytes;
    progress->current_size = moving->size_bytes;
  }
  return more;
}

ApplyDone ApplyEngine::Done() const {
  ApplyDone done;
  done.counters = Counters();
  done.durability = shared_.sync_incomplete.load() ? Durability::kNone : shared_.options.durability;
  return done;
}

}  // namespace uringsync
