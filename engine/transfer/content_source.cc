#include "engine/transfer/content_source.h"

#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {

Task<absl::Status> LocalContentSource::Fetch(FileRequest request, ReplySink* sink) {
  return reader_->Serve(std::move(request), sink);
}

Task<CloneOutcome> ContentSource::Clone([[maybe_unused]] FileRequest request, [[maybe_unused]] int fd) {
  CloneOutcome outcome;
  outcome.refused = EOPNOTSUPP;
  co_return outcome;
}

Task<CloneOutcome> LocalContentSource::Clone(FileRequest request, int fd) {
  CloneOutcome outcome;
  absl::StatusOr<bool> cloned = co_await reader_->Clone(std::move(request), fd, &outcome.end);
  if (cloned.ok()) {
    outcome.cloned = *cloned;
  } else {
    outcome.refused = StatusErrno(cloned.status());
  }
  co_return outcome;
}

Task<absl::Status> LocalContentSource::WaitUsable() {
  co_return absl::OkStatus();
}

}  // namespace uringsync
