#include "engine/transfer/content_source.h"

#include <utility>

namespace uringsync {

Task<absl::Status> LocalContentSource::Fetch(FileRequest request, ReplySink* sink) {
  return reader_->Serve(std::move(request), sink);
}

Task<absl::Status> LocalContentSource::WaitUsable() {
  co_return absl::OkStatus();
}

}  // namespace uringsync
