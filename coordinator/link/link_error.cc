#include "coordinator/link/link_error.h"

#include <charconv>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr char kKindPayload[] = "uringsync/error-kind";
constexpr char kExitPayload[] = "uringsync/exit-code";

void SetNumber(const char* payload, int value, absl::Status* status) {
  // From a view, see engine/base/errno_status.cc.
  const std::string number = std::to_string(value);
  status->SetPayload(payload, absl::Cord(ToAbsl(number)));
}

std::optional<int> GetNumber(const char* payload, const absl::Status& status) {
  const auto found = status.GetPayload(payload);
  if (!found.has_value()) return std::nullopt;
  const std::string text(*found);
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

absl::Status LinkError(ErrorKind kind, std::string_view message) {
  absl::Status status = MakeStatus(absl::StatusCode::kFailedPrecondition, message);
  SetNumber(kKindPayload, static_cast<int>(kind), &status);
  return status;
}

absl::Status LinkErrorWithExit(ExitCode exit_code, std::string_view message) {
  absl::Status status = LinkError(ErrorKind::kProtocol, message);
  SetNumber(kExitPayload, static_cast<int>(exit_code), &status);
  return status;
}

ExitCode LinkExitCode(const absl::Status& status) {
  if (const std::optional<int> code = GetNumber(kExitPayload, status)) return static_cast<ExitCode>(*code);
  return ExitCodeForSessionError(LinkErrorKind(status));
}

ErrorKind LinkErrorKind(const absl::Status& status) {
  if (const std::optional<int> kind = GetNumber(kKindPayload, status)) return static_cast<ErrorKind>(*kind);
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument: return ErrorKind::kUsage;
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnavailable: return ErrorKind::kProtocol;
    case absl::StatusCode::kDeadlineExceeded: return ErrorKind::kTimeout;
    case absl::StatusCode::kCancelled: return ErrorKind::kInterrupted;
    case absl::StatusCode::kNotFound: return ErrorKind::kSelection;
    default: return ErrorKind::kFileIo;
  }
}

absl::Status AsLinkError(const absl::Status& status, std::string_view context) {
  absl::Status result = LinkError(LinkErrorKind(status), std::string(context) + ": " + std::string(status.message()));
  if (const std::optional<int> code = GetNumber(kExitPayload, status)) SetNumber(kExitPayload, *code, &result);
  return result;
}

}  // namespace uringsync
