// What a delta asks the source for: bytes of the file into memory, and signatures. Everything that comes is checked
// against its digest, and repeated a bounded number of times, as for contents that go straight into a file.
//
// Thread rule: one shard.
// Use:  FetchOutcome fetched = co_await FetchBytes(source, shared, request, buffer.first(request.length));
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "engine/coro/task.h"
#include "engine/delta/signature.h"
#include "engine/transfer/content_source.h"
#include "engine/transfer/failure.h"
#include "engine/transfer/receive_shared.h"

namespace uringsync {

struct FetchOutcome {
  std::optional<TransferFailure> failure;
  std::optional<CurrentFile> current;  // with kChanged
  bool ok() const { return !failure.has_value(); }
};

// Contents of the request's range into `out`, which has its length; holes become zeros. `out` must stay until the end.
Task<FetchOutcome> FetchBytes(ContentSource* source, ReceiveShared* shared, FileRequest request,
                              std::span<std::byte> out);
// The payload of a signature request; not decoded.
Task<FetchOutcome> FetchSignature(ContentSource* source, ReceiveShared* shared, FileRequest request,
                                  SignatureBytes* out);

// A source whose answers contradict themselves.
TransferFailure IntegrityFailure(std::string detail);

}  // namespace uringsync
