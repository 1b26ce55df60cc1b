// Exit codes of a run: rsync's numbers, one policy.
//
// Pure functions, any thread. Use:  ExitCode code = ExitCodeForProblems(tally);
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "proto/messages.h"

namespace uringsync {

enum class ExitCode : int {
  kOk = 0,  // every object reached the asked state
  kUsage = 1,
  kVersion = 2,
  kSelection = 3,     // no such root, missing source, read-only root
  kFileIo = 11,       // also: the destination is locked by another run
  kProtocol = 12,     // also: an agent died or the connection broke
  kOutput = 13,       // ursync: standard output takes nothing
  kStartFailed = 14,  // the remote shell could not be started
  kInterrupted = 20,
  kPartial = 23,      // some objects failed, differ (verify), or stayed unstable
  kVanished = 24,     // some source objects vanished, nothing worse
  kDeleteLimit = 25,  // --max-delete left deletions out, nothing worse
  kTimeout = 30,
  // Of the remote shell itself, handed through.
  kRemoteNotRun = 126,
  kRemoteNotFound = 127,
  kShellFailed = 255,
};

// Objects that did not reach the asked state, by what became of them.
struct ProblemTally {
  uint64_t failed = 0;  // every kind but vanished and unstable
  uint64_t vanished = 0;
  uint64_t unstable = 0;   // copied as they were read; no reason for an exit code
  uint64_t differing = 0;  // verify only
  uint64_t changing = 0;   // verify only: changed while they were compared, and not found equal
  uint64_t settled = 0;    // verify only: differed at first, and were equal a moment later; no reason for an exit code
  void Add(const Problem& problem);
};

// 23 wins over 24; 0 when there is nothing of either.
ExitCode ExitCodeForProblems(const ProblemTally& tally);
// Exit code of a session that an agent refused or gave up.
ExitCode ExitCodeForSessionError(ErrorKind kind);
// Exit code of a failed call of a stream or of the planner: InvalidArgument and Unavailable and OutOfRange are protocol
// errors, DeadlineExceeded a time-out, Cancelled an interruption, everything else file I/O.
ExitCode ExitCodeForStatus(const absl::Status& status);

}  // namespace uringsync
