// ApplyWorker: carries out actions on one shard.
//
// Chunks come from the session's shared queue; each action is a coroutine of its own, many at once, so that one
// io_uring_enter submits the reads and writes of many files. Every action ends with exactly one ActionDone, with a
// Problem when it failed.
//
// Thread rule: one shard.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agent/apply_namespace.h"
#include "agent/apply_shared.h"
#include "agent/basis_tree.h"
#include "agent/path_syncs.h"
#include "agent/similar_files.h"
#include "engine/coro/held_back.h"
#include "engine/coro/scope.h"
#include "engine/coro/semaphore.h"
#include "engine/coro/task.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/content_source.h"
#include "engine/transfer/publisher.h"
#include "engine/transfer/receiver.h"

namespace uringsync {

class ApplyWorker {
 public:
  // Large files of one shard that are not complete; their ranges are shared with the others. Only the last of them has
  // ranges to give away.
  static constexpr size_t kLargeFilesPerShard = 2;
  // Paths that one shard remembers before it syncs them.
  static constexpr size_t kMaxTouched = 4096;
  // Fsyncs of directories and attributes in flight.
  static constexpr size_t kParallelSyncs = 32;

  ApplyWorker(Shard* shard, ApplyShared* shared, ContentSource* source, size_t shards);

  // Takes chunks until the queue is closed and everything taken has ended.
  Task<void> Run();
  // One action, in the caller's order; its batch hears of the end, which may come later: `ends` is joined by the
  // caller.
  Task<void> RunAlone(const Action* action, BatchPtr batch, Scope* ends);
  // Carries out a kMakeDirectory; the caller reports how it ended.
  Task<std::optional<TransferFailure>> MakeDirectory(const Action* action);
  // Makes everything durable that this shard changed before the call and NoteTouched or NoteAttributes was told of.
  Task<void> SyncTouched();
  // Ends `action`, which left things as `failure` says: once that is on disk where each action is to be (kFile).
  Task<void> EndDurably(Action action, BatchPtr batch, std::optional<TransferFailure> failure);
  // At the end of a run: directories of backups get their attributes.
  Task<void> FinishBackups();
  // Directories that were made writable for the run are no longer; before their metadata is set, and at the end.
  Task<void> RestoreModes();
  // Gives the files that wait for each other (StagingSettings::delay_updates) their names; nothing else runs.
  Task<void> PublishDelayed();

  // Before any of `actions` begins: gives files that these replace, and that are the origin of another one, a second
  // name.
  void HoldOrigins(const std::vector<Action>& actions);
  // Removes the names of those that nobody took.
  void DropHeld();

  Receiver* receiver() { return &receiver_; }
  Receiver* in_place_receiver() { return &in_place_receiver_; }
  ContentSource* source() { return receiver_.source(); }
  Shard* shard() { return receiver_.shard(); }
  const NamespaceContext& context() const { return context_; }
  void NoteTouched(const RelPath& directory);
  // `directory` is gone: what happened in it need not be durable, only that it is gone.
  void ForgetTouched(const RelPath& directory);

 private:
  using Failure = std::optional<TransferFailure>;
  // Takes large files, one after the other, until their queue is closed.
  Task<void> RunLarge();
  // Deletes of objects that are no directories, all of one directory.
  Task<void> RunDeletes(std::vector<Action> actions, BatchPtr batch);
  // `turn`: of a large file; given back when the shard may begin another one.
  Task<void> RunOne(Action action, BatchPtr batch, SemaphoreUnits slot, SemaphoreUnits turn);
  Task<Failure> Perform(const Action& action, SemaphoreUnits* slot, SemaphoreUnits turn = {});
  Task<Failure> PutFile(const Action& action, SemaphoreUnits* slot, SemaphoreUnits turn);
  // Over the old contents of the file that `action` would replace.
  Task<Failure> PutInPlace(const Action* action, IncomingFile* file);
  Failure OpenInPlace(const Action& action, const Entry& existing, StagedObject* staged);
  Task<Failure> FillInPlace(const Action* action, const Entry* existing, IncomingFile* file, StagedObject* staged);
  // Whether `action` is about an inode that others of a session in place may write, too.
  bool SharesInode(const Action& action) const {
    return shared_->options.in_place && action.existing && action.existing->type == FileType::kRegular &&
           action.existing->nlink > 1;
  }
  // What was planned against, as this session has left it since.
  void RefreshInode(Action* action) const;
  // What it has become by then; `action` 0 as in InPlaceInodes.
  void LeaveInode(const Entry& existing, int fd, uint64_t action);
  Task<Failure> PutOther(const Action& action);
  Task<Failure> SetMetadata(const Action& action);
  // Of a name whose inode others of a session in place may write, too.
  Task<Failure> SetSharedMetadata(Action action);
  Failure Link(const Action& action);
  // A link of an object of a basis directory, or where that cannot be, a copy of it, or of the source's.
  Task<Failure> LinkBasis(const Action& action, SemaphoreUnits* slot);
  // Contents and metadata of a staged file, from where the action says.
  Task<Failure> FillStaged(const Action* action, IncomingFile* file, StagedObject* staged);
  // From the object of a basis directory; false, with an empty file, where it has to be fetched.
  Task<bool> FillFromBasis(const Action* action, const IncomingFile* file, StagedObject* staged);
  // Whether what came of the file is kept when the session breaks off.
  bool KeepsPart(const Entry& wanted) const;
  // What an earlier session kept of the file, if there is a use for it.
  std::shared_ptr<const DeltaBasis> OpenPart(const Action& action, const Directory& parent);
  // To be called with what was staged of a file that failed because of `why`. Whether there is a part of it now.
  Task<bool> KeepPart(const Action* action, const IncomingFile* file, StagedObject* staged, FailureKind why);
  // A large file's temporary is written down, so that a later session can go on with it.
  bool IsWrittenDown(const Entry& wanted) const;
  // What an earlier session left of the file.
  std::optional<LeftTemporary> TakeLeft(const Action& action, const IncomingFile& file);
  // Its contents are where it is to be made whole: in `staged`, or, where it has to stay as it is, a help.
  // False: there has to be a new one.
  bool UseLeft(LeftTemporary* left, IncomingFile* file, StagedObject* staged);
  // It is of no use any more; what became the staged file is not touched.
  void DoneWith(std::optional<LeftTemporary>* left);
  // Has `staged` written down when there is something in it.
  void WriteDown(StagedObject* staged, IncomingFile* file);
  // A file that failed because of `why` did so because the session, or the way to the source, breaks off.
  bool IsBrokenOff(FailureKind why) const { return why == FailureKind::kConnection || shared_->receive.stopped(); }
  // To be called with what was staged of a file that failed because of `why`. Whether it is kept: as a part, or for a
  // later session where it is.
  Task<bool> KeepWhatCame(const Action* action, const IncomingFile* file, StagedObject* staged, FailureKind why);
  bool LeaveForLater(const IncomingFile& file, StagedObject* staged, FailureKind why);
  // Removes what earlier sessions left and nobody has asked for: in a directory that `action` removes; everywhere,
  // where room is short (whether there was any).
  void MakeWay(const Action& action);
  bool DropLeft();
  // Room that `file` needs beside what is left of it.
  uint64_t RoomFor(const IncomingFile& file, const std::optional<LeftTemporary>& left) const;
  // As RoomWatch::Begin; what earlier sessions left makes way where room is short.
  Task<int> BeginFilling(int fd, uint64_t bytes, int tries, RoomWatch::Filling* filling);
  // Performs `action` again where `failure` is a refusal for want of room that files under way may give back. Returns
  // what it ended with.
  Task<Failure> AgainWithRoom(const Action* action, Failure failure, std::function<Task<Failure>()> perform);
  // The file that `action` says its contents may lie in; null where it is not there as planned.
  std::shared_ptr<DeltaBasis> OpenOrigin(const Action& action);
  // Makes the origin of `action`, whose old name goes, the staged file, if contents prove to be the same: nothing is
  // written. False: nothing is staged, and the file has to be made some other way.
  Task<bool> TakeOver(const Action* action, IncomingFile* file, StagedObject* staged);
  // Whether nothing of the origin would be left on the new file that a fresh one would not have.
  bool LooksFresh(const Action& action, const Directory& parent, int fd, const struct statx& now);
  // What the planned metadata needs, on what was taken over.
  Task<bool> CompleteTaken(const Action* action, const IncomingFile* file, StagedObject* staged);
  // The file that `action` replaces, where a delta against it is thinkable.
  std::shared_ptr<const DeltaBasis> OpenOldFile(const Action& action, const Directory& parent);
  // With StagingSettings::fuzzy: another file that the new one may have been made from.
  std::shared_ptr<const DeltaBasis> OpenSimilar(const Action& action, const Directory& parent);
  // Perform, again while the process is out of descriptors.
  Task<Failure> PerformPatiently(const Action* action, SemaphoreUnits* slot, SemaphoreUnits turn = {});
  bool MayTryAgain(int error, int tries) const;
  // Gives up what this shard can spare and lets others end.
  Task<void> FreeDescriptors();
  // The filled temporary of a file, with Publisher::Begin in force; tries again where there may be room after all.
  // `named`: not one of those files that get their name in the end.
  Task<Failure> Stage(const Action* action, IncomingFile* file, bool named, StagedObject* staged);
  // Descriptor in the file system that `action` changes; `parent` keeps it open.
  int RoomDescriptor(const Action& action, DirectoryPtr* parent);
  // Tells the session's RoomWatch where `failure` is a refusal for want of room.
  void NoteRoom(const Action& action, const Failure& failure);
  UnnamedOptions UnnamedFor(const Entry& wanted) const;
  // Whether a filled file, still without its name, holds what was written; nullopt: it does, or nobody asked.
  Task<Failure> ReadAgain(const IncomingFile* file, const StagedObject* staged);
  Task<Failure> CreateStaged(const Action* action, bool named, StagedObject* staged);
  // Copies a file that was put together on another file system than its name lies on to there.
  Task<Failure> BringHome(const Action* action, const IncomingFile* file, StagedObject* staged);
  Failure TryCreateStaged(const Action& action, bool named, StagedObject* staged);
  // Makes `staged` wait for the files of its phase instead of getting its name.
  Failure MakeWait(const Action& action, StagedObject* staged);
  Failure PublishNow(const Action& action, StagedObject* staged);
  void End(const Action& action, const BatchPtr& batch, Failure failure);
  // Of a file that has its name now.
  void NotePublished(const Action& action, const IncomingFile& file);
  struct SyncTarget {
    PathSyncs::Kind kind = PathSyncs::Kind::kDirectory;
    RelPath path;
  };
  // What has to be synced for attributes that `action` sets in place.
  static SyncTarget AttributesOf(const Action& action);
  void NoteAttributes(const Action& action);
  void Touch(PathSyncs::Kind kind, const RelPath& path);
  // PathSyncs::Sync, again while the process is out of descriptors.
  Task<absl::Status> SyncPatiently(PathSyncs::Kind kind, RelPath path);
  Task<absl::Status> SyncBackups();
  // With ApplyOptions::sync_each: what `action` changed is on disk, or it has failed.
  Task<Failure> MakeDurable(const Action* action);
  Task<void> SyncPath(PathSyncs::Kind kind, std::string text);
  void AddSyncProblem(const RelPath& path, std::string operation, const absl::Status& synced);

  ApplyShared* const shared_;
  const bool may_link_unnamed_;
  const DescriptorBudget budget_;
  DirectoryCache directories_;
  std::unique_ptr<BackupKeeper> backup_;
  std::unique_ptr<PartialFiles> parts_;  // null: parts have the names of their files
  const NamespaceContext context_;
  Receiver receiver_;
  Receiver in_place_receiver_;
  std::vector<std::unique_ptr<BasisTree>> bases_;
  std::vector<SimilarFiles> similar_;  // of the destination, and of each of bases_
  Publisher publisher_;
  Semaphore slots_;
  HeldBack slots_held_;  // of slots_: what the way to the source has no use for
  Semaphore large_slots_{kLargeFilesPerShard};
  Semaphore large_turn_{1};
  PathSyncs path_syncs_;
  Semaphore sync_turn_{1};
  absl::Status backups_synced_;
  std::optional<std::string> last_touched_;
  std::set<std::pair<PathSyncs::Kind, std::string>> touched_;
};

}  // namespace uringsync
