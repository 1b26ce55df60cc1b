#include "engine/transfer/failure.h"

#include <cerrno>
#include <utility>

namespace uringsync {

TransferFailure WriteFailure(int error, std::string operation) {
  TransferFailure failure;
  failure.kind = error == ENOSPC || error == EDQUOT ? FailureKind::kNoSpace : FailureKind::kFailed;
  failure.error = error;
  failure.operation = std::move(operation);
  return failure;
}

}  // namespace uringsync
