#include "engine/transfer/signature_request.h"

#include <array>
#include <span>
#include <string>

#include "engine/base/errno_status.h"
#include "engine/delta/signature.h"
#include "engine/transfer/extent_list.h"

namespace uringsync {
namespace {

absl::Status Invalid(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "a signature request " + text);
}

}  // namespace

LeafKey LeafKeyFor(const LeafSecret& secret, const FileRequest& request) {
  const std::array<uint64_t, 5> identity = {request.file.device, request.file.inode, request.size_bytes,
                                            static_cast<uint64_t>(request.mtime.seconds), request.mtime.nanoseconds};
  return DeriveLeafKey(secret, std::as_bytes(std::span(identity)));
}

absl::Status CheckSignatureRequest(const FileRequest& request) {
  if (request.kind == RequestKind::kContents) {
    return request.unit_bytes == 0
               ? absl::OkStatus()
               : MakeStatus(absl::StatusCode::kInvalidArgument, "a request for contents has a unit");
  }
  if (request.type != FileType::kRegular) return Invalid("is not about a regular file");
  if (request.want_xattrs) return Invalid("asks for attributes");
  if (request.length == 0 || request.length > request.size_bytes ||
      request.offset > request.size_bytes - request.length) {
    return Invalid("lies outside its file");
  }
  if (request.kind == RequestKind::kBlocks) {
    if (!IsBlockSize(request.unit_bytes))
      return Invalid("has blocks of " + std::to_string(request.unit_bytes) + " bytes");
    return request.length <= kLeafBytes ? absl::OkStatus() : Invalid("asks for the blocks of more than a leaf");
  }
  if (request.kind == RequestKind::kExtents)
    return request.unit_bytes == 0 ? absl::OkStatus() : Invalid("for extents has a unit");
  if (request.offset % kLeafBytes != 0) return Invalid("begins within a leaf");
  if (request.length > kMaxSignatureRange)
    return Invalid("is longer than " + std::to_string(kMaxSignatureRange) + " bytes");
  const bool unit = request.kind == RequestKind::kChunks ? IsChunkAverage(request.unit_bytes) : request.unit_bytes == 0;
  return unit ? absl::OkStatus() : Invalid("has chunks of " + std::to_string(request.unit_bytes) + " bytes");
}

uint64_t AnswerBytes(const FileRequest& request) {
  constexpr uint64_t kLeafAnswer = LeafTag::kBytes + 1;
  constexpr uint64_t kChunkAnswer = 12;
  switch (request.kind) {
    case RequestKind::kContents: return request.length;
    case RequestKind::kLeaves: return LeafCount(request.length) * kLeafAnswer;
    case RequestKind::kBlocks: return (request.length / request.unit_bytes + 1) * sizeof(uint64_t);
    case RequestKind::kChunks: {
      const uint64_t chunks =
          request.length / ParametersFor(request.unit_bytes).minimum_bytes + 2 * kChunkOverlapAverages;
      return chunks * kChunkAnswer + LeafCount(request.length) * kLeafAnswer;
    }
    case RequestKind::kExtents: return kMaxExtentListBytes;
  }
  return request.length;
}

}  // namespace uringsync
