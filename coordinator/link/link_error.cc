#include "coordinator/link/link_error.h"

#include <charconv>
#include <string>

#include "absl/strings/cord.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr char kKindPayload[] = "uringsync/error-kind";

}  // namespace

absl::Status LinkError(ErrorKind kind, std::string_view message) {
  absl::Status status = MakeStatus(absl::StatusCode::kFailedPrecondition, message);
  // From a view, see engine/base/errno_status.cc.
  const std::string number = std::to_string(static_cast<int>(kind));
  status.SetPayload(kKindPayload, absl::Cord(ToAbsl(number)));
  return status;
}

ErrorKind LinkErrorKind(const absl::Status& status) {
  if (auto payload = status.GetPayload(kKindPayload); payload.has_value()) {
    const std::string text(*payload);
    int kind = 0;
    std::from_chars(text.data(), text.data() + text.size(), kind);
    return static_cast<ErrorKind>(kind);
  }
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
  return LinkError(LinkErrorKind(status), std::string(context) + ": " + std::string(status.message()));
}

}  // namespace uringsync
