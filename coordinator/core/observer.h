// Observer: what a run tells while it goes on.
//
// Every call comes from the thread that called RunSync, one at a time. Names and texts that came from a peer are raw:
// escape before printing. A slow observer slows the run down, it never loses or reorders an event.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/core/planner.h"
#include "proto/messages.h"
#include "proto/transport.h"

namespace uringsync {

enum class ActionOutcome : uint8_t {
  kPlanned = 1,  // plan and verify: nothing was tried
  kDone,
  kSkipped,   // no part of the asked state (a device without CAP_MKNOD); nothing changed
  kFailed,    // a problem with this action's id was reported just before
  kChanging,  // verify: it changed while it was compared, and is no difference for sure
};

// Totals so far. "found" grows until `discovering` is false.
struct SyncProgress {
  PlanCounters plan;
  ApplyCounters apply;
  uint64_t actions_ended = 0;  // of plan.actions: done, skipped or failed
  bool discovering = true;     // manifests still arrive
  RelPath current_file;        // a large file being moved, or the root
  uint64_t current_bytes = 0;
  uint64_t current_size = 0;
};

class Observer {
 public:
  virtual ~Observer() = default;
  // Both sessions are open: who answers, what the destination can do. Called once, before anything of the plan.
  virtual void OnOpened(const HelloReply& source, const SessionOpened& source_session, const HelloReply& destination,
                        const SessionOpened& destination_session) = 0;
  // `differences` is empty for housekeeping that is no change to list: the metadata of a directory that was made or
  // whose entries changed in this run.
  virtual void OnAction(const Action& action, const Differences& differences, ActionOutcome outcome) = 0;
  // Of actions with ids up to `through_action`, what all those did that end as kDone is on disk, as far as the
  // destination knows; `actions` of them so far. A few may be told of by OnAction afterwards.
  virtual void OnDurable(uint64_t /*through_action*/, uint64_t /*actions*/) {}
  virtual void OnProblem(const Problem& problem) = 0;
  // How things stand while actions are told that ended together; before they are.
  virtual void OnActionsEnding(const SyncProgress& /*progress*/) {}
  // Not more often than SyncRequest::progress_interval, and once at the end.
  virtual void OnProgress(const SyncProgress& progress) = 0;
  // A line of general interest from one side: what it cannot promise, why io_uring is not used.
  virtual void OnNotice(Side side, std::string_view text) = 0;
  // The same of something that the run was told to do, and goes on without.
  virtual void OnShortfall(Side side, std::string_view text) { OnNotice(side, text); }
  // The connection to an agent was lost and is tried again, or is there again.
  virtual void OnConnection(Side side, const ConnectionChange& change) {
    OnNotice(side, change.lost ? "connection lost" : "connected again");
  }
  // An object that is left out on purpose.
  virtual void OnSkipped(SkipReason reason, const RelPath& path, FileType type) = 0;
  // The same of a symlink that may lead out of the tree (SkipReason::kUnsafeLink).
  virtual void OnUnsafeLink(const RelPath& path, const std::string& /*target*/) {
    OnSkipped(SkipReason::kUnsafeLink, path, FileType::kSymlink);
  }
  // An object of the source that needs nothing; only with SyncRequest::tell_unchanged.
  virtual void OnUnchanged(const RelPath& /*path*/, const Entry& /*source*/) {}
  // One that is left out because a basis directory has it: that one of those that SyncRequest::on_bases was told.
  virtual void OnInBasis(const RelPath& path, const Entry& source, uint32_t /*basis*/) { OnUnchanged(path, source); }
  // An object was removed at the source (SyncRequest::remove_source_files).
  virtual void OnSourceRemoved(const RelPath& /*path*/) {}
};

}  // namespace uringsync
