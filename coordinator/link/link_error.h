// LinkError: a Status that also says which category of exit code it belongs to.
//
// The links and the command line fail with these; the command turns the category into its exit code. Thread rule:
// functions. Use:  return LinkError(ErrorKind::kSelection, "source /a: No such file or directory");
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "coordinator/core/exit_code.h"
#include "proto/messages.h"

namespace uringsync {

// FailedPrecondition with `message` and `kind` recorded. The message is ready to print: names in it are escaped
// already.
absl::Status LinkError(ErrorKind kind, std::string_view message);
// As LinkError(kProtocol), with an exit code of its own.
absl::Status LinkErrorWithExit(ExitCode exit_code, std::string_view message);
// `status` with "<context>: " before its message, as a LinkError of its kind.
absl::Status AsLinkError(const absl::Status& status, std::string_view context);

// The kind recorded by LinkError(); for any other status a kind by its code: InvalidArgument kUsage, Unavailable and
// Unauthenticated kProtocol, DeadlineExceeded kTimeout, Cancelled kInterrupted, NotFound kSelection, everything else
// kFileIo.
ErrorKind LinkErrorKind(const absl::Status& status);
// The exit code that a command ends with for `status`: that of LinkErrorWithExit, else that of its kind.
ExitCode LinkExitCode(const absl::Status& status);

}  // namespace uringsync
