// The one place where errno becomes absl::Status, and back.
//
// A Status made here carries its errno as a payload, so that policy (ENOSPC stops a file system, ENOENT means vanished)
// is a function of the number and never of the text.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace uringsync {

// Status for `err` (positive errno). The message is "<context>: <strerror>", e.g. "write at 4096: No space left on
// device". Codes: ENOENT→NotFound, EEXIST→AlreadyExists, EACCES/EPERM→PermissionDenied,
// ENOSPC/EDQUOT/EMFILE/ENFILE/ENOMEM→ ResourceExhausted, ETIMEDOUT/ETIME→DeadlineExceeded, ECANCELED→Cancelled,
// ECONN*/EPIPE/ENETUNREACH/EHOSTUNREACH→ Unavailable, ENOSYS/EOPNOTSUPP→Unimplemented,
// EINVAL/ENAMETOOLONG→InvalidArgument, ENOTDIR/EISDIR/ENOTEMPTY/ELOOP/ EXDEV/EROFS/EBUSY→FailedPrecondition,
// EIO→DataLoss, everything else Unknown.
absl::Status ErrnoStatus(int err, std::string_view context);

// errno recorded in `status`, 0 where none was.
int StatusErrno(const absl::Status& status);

// Same code and payloads, message "<context>: <old message>". OK stays OK.
absl::Status WithContext(absl::Status status, std::string_view context);

// Same for any code without errno: absl::Status with a std::string_view message.
absl::Status MakeStatus(absl::StatusCode code, std::string_view message);

// std::string_view and absl::string_view are different types in this build.
inline absl::string_view ToAbsl(std::string_view s) {
  return absl::string_view(s.data(), s.size());
}
inline std::string_view ToStd(absl::string_view s) {
  return std::string_view(s.data(), s.size());
}

}  // namespace uringsync

#define US_CONCAT_INNER(a, b) a##b
#define US_CONCAT(a, b) US_CONCAT_INNER(a, b)
// `return` / `co_return` on error. The expression is evaluated once.
#define US_RETURN_IF_ERROR(expr)             \
  do {                                       \
    absl::Status us_status_ = (expr);        \
    if (!us_status_.ok()) return us_status_; \
  } while (false)
#define US_CO_RETURN_IF_ERROR(expr)             \
  do {                                          \
    absl::Status us_status_ = (expr);           \
    if (!us_status_.ok()) co_return us_status_; \
  } while (false)
#define US_ASSIGN_OR_RETURN(lhs, expr) US_ASSIGN_OR_RETURN_IMPL(US_CONCAT(us_or_, __LINE__), lhs, expr)
#define US_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return tmp.status();            \
  lhs = std::move(tmp).value()
#define US_CO_ASSIGN_OR_RETURN(lhs, expr) US_CO_ASSIGN_OR_RETURN_IMPL(US_CONCAT(us_or_, __LINE__), lhs, expr)
#define US_CO_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                \
  if (!tmp.ok()) co_return tmp.status();            \
  lhs = std::move(tmp).value()
