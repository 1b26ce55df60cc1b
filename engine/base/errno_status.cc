#include "engine/base/errno_status.h"

#include <cerrno>
#include <charconv>
#include <cstring>

#include "absl/strings/cord.h"

namespace uringsync {
namespace {

constexpr char kErrnoPayload[] = "uringsync/errno";

absl::StatusCode CodeFor(int err) {
  switch (err) {
    case ENOENT: return absl::StatusCode::kNotFound;
    case EEXIST: return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM: return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return absl::StatusCode::kResourceExhausted;
    case ETIMEDOUT:
    case ETIME: return absl::StatusCode::kDeadlineExceeded;
    case ECANCELED: return absl::StatusCode::kCancelled;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENOTCONN: return absl::StatusCode::kUnavailable;
    case ENOSYS:
    case EOPNOTSUPP: return absl::StatusCode::kUnimplemented;
    case EINVAL:
    case ENAMETOOLONG: return absl::StatusCode::kInvalidArgument;
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ELOOP:
    case EXDEV:
    case EROFS:
    case EBUSY: return absl::StatusCode::kFailedPrecondition;
    case EIO: return absl::StatusCode::kDataLoss;
    default: return absl::StatusCode::kUnknown;
  }
}

}  // namespace

absl::Status ErrnoStatus(int err, std::string_view context) {
  std::string message(context);
  message += ": ";
  message += std::strerror(err);
  absl::Status status(CodeFor(err), message);
  // From a view: the library holds Cord(std::string&&) under a name that only the compiler that built it spells so.
  const std::string number = std::to_string(err);
  status.SetPayload(kErrnoPayload, absl::Cord(ToAbsl(number)));
  return status;
}

int StatusErrno(const absl::Status& status) {
  auto payload = status.GetPayload(kErrnoPayload);
  if (!payload.has_value()) return 0;
  const std::string text(*payload);
  int err = 0;
  std::from_chars(text.data(), text.data() + text.size(), err);
  return err;
}

absl::Status WithContext(absl::Status status, std::string_view context) {
  if (status.ok()) return status;
  std::string message(context);
  message += ": ";
  message += std::string(status.message());
  absl::Status wrapped(status.code(), message);
  status.ForEachPayload(
      [&wrapped](absl::string_view url, const absl::Cord& payload) { wrapped.SetPayload(url, payload); });
  return wrapped;
}

absl::Status MakeStatus(absl::StatusCode code, std::string_view message) {
  return absl::Status(code, ToAbsl(message));
}

}  // namespace uringsync
