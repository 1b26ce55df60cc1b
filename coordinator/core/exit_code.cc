#include "coordinator/core/exit_code.h"

namespace uringsync {

void ProblemTally::Add(const Problem& problem) {
  if (problem.kind == ProblemKind::kVanished) {
    ++vanished;
  } else if (problem.kind == ProblemKind::kUnstable) {
    ++unstable;
  } else {
    ++failed;
  }
}

ExitCode ExitCodeForProblems(const ProblemTally& tally) {
  if (tally.failed > 0 || tally.differing > 0 || tally.changing > 0) return ExitCode::kPartial;
  if (tally.vanished > 0) return ExitCode::kVanished;
  return ExitCode::kOk;
}

ExitCode ExitCodeForSessionError(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage: return ExitCode::kUsage;
    case ErrorKind::kVersion: return ExitCode::kVersion;
    case ErrorKind::kSelection: return ExitCode::kSelection;
    case ErrorKind::kLocked: return ExitCode::kFileIo;
    case ErrorKind::kFileIo: return ExitCode::kFileIo;
    case ErrorKind::kProtocol: return ExitCode::kProtocol;
    case ErrorKind::kInterrupted: return ExitCode::kInterrupted;
    case ErrorKind::kTimeout: return ExitCode::kTimeout;
  }
  return ExitCode::kProtocol;
}

ExitCode ExitCodeForStatus(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk: return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kOutOfRange: return ExitCode::kProtocol;
    case absl::StatusCode::kDeadlineExceeded: return ExitCode::kTimeout;
    case absl::StatusCode::kCancelled: return ExitCode::kInterrupted;
    default: return ExitCode::kFileIo;
  }
}

}  // namespace uringsync
