#include "engine/transfer/failure.h"

#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {

TransferFailure WriteFailure(int error, std::string operation) {
  TransferFailure failure;
  failure.kind = error == ENOSPC || error == EDQUOT ? FailureKind::kNoSpace : FailureKind::kFailed;
  failure.error = error;
  failure.operation = std::move(operation);
  return failure;
}

bool IsOwnerRefused(const TransferFailure& failure) {
  return !failure.at_source && failure.operation == "fchownat" && (failure.error == EPERM || failure.error == EINVAL);
}

TransferFailure SourceFailure(ReplyStatus status, std::string operation, int error) {
  TransferFailure failure;
  failure.at_source = true;
  failure.operation = std::move(operation);
  failure.error = error;
  if (status == ReplyStatus::kVanished) failure.kind = FailureKind::kVanished;
  if (status == ReplyStatus::kChanged) failure.kind = FailureKind::kChanged;
  return failure;
}

TransferFailure FetchFailure(const absl::Status& fetched) {
  TransferFailure failure;
  failure.kind =
      absl::IsUnavailable(fetched) || absl::IsCancelled(fetched) ? FailureKind::kConnection : FailureKind::kFailed;
  failure.at_source = true;
  failure.operation = "fetch";
  failure.error = StatusErrno(fetched);
  failure.detail = std::string(ToStd(fetched.message()));
  return failure;
}

}  // namespace uringsync
