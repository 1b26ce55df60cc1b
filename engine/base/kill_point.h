// Kill points: places in the programs at which a test has them end as if by SIGKILL, one after the other.
//
// They do something only in builds with URINGSYNC_KILL_POINTS (CMake; the presets of tests switch it on, `release` does
// not): elsewhere no environment variable is looked at and passing one is an empty call. There the environment says
// what happens, once per process, before it does anything else:
//   URINGSYNC_KILL_POINT=list           prints every point and the roles that pass it, a line each, and ends
//   URINGSYNC_KILL_POINT=NAME:N         SIGKILL at the N-th pass of that point, from 1
//   URINGSYNC_KILL_POINT=count          writes "kill point NAME" to standard error at each pass
// Anything else ends the process with exit code 1: a test must not believe that it killed something.
//
// A new point needs a line here and one in the table of kill_point.cc; tests/fault/kill_points_test.py finds it there
// and fails until a run reaches it.
//
// Thread rule: PassKillPoint from any thread. Use:  PassKillPoint(KillPoint::kPublishMarked);
#pragma once

#include <cstdint>

namespace uringsync {

enum class KillPoint : uint8_t {
  // Scan: both agents.
  kScanDirectory,
  kScanStray,
  kScanEnd,
  // What the source does for contents.
  kReadOpen,
  kReadServed,
  // Stage.
  kStageCreated,
  kStageRange,
  kStageFilled,
  kStageMetadata,
  kStageLink,
  kStageOther,
  // Sync and publish.
  kSyncFiles,
  kSyncedFiles,
  kPublishMarked,
  kPublishExchanged,
  kPublishLinked,
  kMadeDirectory,
  kSetMetadata,
  kBackupLinked,
  kSyncPath,
  kSyncedPath,
  kSyncPhase,
  kDelayedPublish,
  // Journal.
  kJournalStaged,
  kJournalNamed,
  kJournalAppended,
  kJournalTakeOver,
  kJournalRenamed,
  kJournalUnlinked,
  // Delete; at the source what was copied.
  kDelete,
  kDeleted,
  kDeletedDirectory,
  // The destination's session.
  kDestinationLocked,
  kDestinationDone,
  // The command.
  kRunOpened,
  kRunBatch,
  kRunBatchSent,
  kRunProgress,
  kRunFinish,
  kRunDone,
  kRunEnd,
  kCount
};

// First thing of main().
void StartKillPoints();
void PassKillPoint(KillPoint point);

}  // namespace uringsync
