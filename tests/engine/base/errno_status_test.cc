#include "engine/base/errno_status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

TEST(ErrnoStatusTest, CodesFollowTheTable) {
  const std::pair<int, absl::StatusCode> table[] = {
      {ENOENT, absl::StatusCode::kNotFound},
      {EEXIST, absl::StatusCode::kAlreadyExists},
      {EACCES, absl::StatusCode::kPermissionDenied},
      {ENOSPC, absl::StatusCode::kResourceExhausted},
      {ETIME, absl::StatusCode::kDeadlineExceeded},
      {ECANCELED, absl::StatusCode::kCancelled},
      {EPIPE, absl::StatusCode::kUnavailable},
      {EOPNOTSUPP, absl::StatusCode::kUnimplemented},
      {EINVAL, absl::StatusCode::kInvalidArgument},
      {ELOOP, absl::StatusCode::kFailedPrecondition},
      {EIO, absl::StatusCode::kDataLoss},
      {ECHILD, absl::StatusCode::kUnknown},
  };
  for (const auto& [err, code] : table) EXPECT_EQ(ErrnoStatus(err, "x").code(), code) << err;
}

TEST(ErrnoStatusTest, MessageAndNumberSurviveContext) {
  const absl::Status status = WithContext(ErrnoStatus(ENOSPC, "write at 4096"), "stage a/b.txt");
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kResourceExhausted, "stage a/b.txt: write at 4096: No space left on device"));
  EXPECT_EQ(StatusErrno(status), ENOSPC);
}

TEST(ErrnoStatusTest, StatusWithoutErrnoSaysZero) {
  EXPECT_EQ(StatusErrno(absl::OkStatus()), 0);
  EXPECT_EQ(StatusErrno(absl::InternalError("x")), 0);
  EXPECT_OK(WithContext(absl::OkStatus(), "x"));
}

absl::StatusOr<std::unique_ptr<int>> Make(bool ok) {
  if (!ok) return absl::NotFoundError("nothing");
  return std::make_unique<int>(7);
}

absl::StatusOr<int> Use(bool ok) {
  US_ASSIGN_OR_RETURN(std::unique_ptr<int> value, Make(ok));
  US_RETURN_IF_ERROR(absl::OkStatus());
  return *value;
}

TEST(ErrnoStatusTest, MacrosAssignOrReturn) {
  EXPECT_THAT(Use(true), IsOkAndHolds(7));
  EXPECT_THAT(Use(false), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace uringsync
