#include "engine/transfer/same_contents.h"

#include <algorithm>
#include <utility>

#include "engine/coro/scope.h"
#include "engine/delta/signature.h"
#include "engine/transfer/delta_fetch.h"
#include "engine/transfer/signature_reader.h"
#include "engine/transfer/signature_request.h"

namespace uringsync {

SameContents::SameContents(Shard* shard, ReceiveShared* shared, ContentSource* source, FileRequest request,
                           DataFile file)
    : shard_(shard),
      shared_(shared),
      source_(source),
      request_(std::move(request)),
      file_(file),
      key_(LeafKeyFor(shared->options().leaf_secret, request_)) {}

Task<bool> SameContents::Run() {
  absl::Status usable = co_await source_->WaitUsable();
  if (!usable.ok()) co_return false;
  if (request_.size_bytes <= kRangeBytes) co_return co_await RangeIsSame(0, request_.size_bytes);
  Scope workers;
  for (size_t i = 0; i < kRanges; ++i) workers.Spawn(Worker());
  co_await workers.Join();
  co_return same_;
}

Task<void> SameContents::Worker() {
  while (same_ && next_ < request_.size_bytes && !shared_->stopped()) {
    const uint64_t offset = std::exchange(next_, next_ + kRangeBytes);
    const bool same = co_await RangeIsSame(offset, std::min(kRangeBytes, request_.size_bytes - offset));
    if (!same) same_ = false;
  }
  if (shared_->stopped()) same_ = false;
}

Task<bool> SameContents::RangeIsSame(uint64_t offset, uint64_t length) {
  FileRequest request = request_;
  request.kind = RequestKind::kLeaves;
  request.offset = offset;
  request.length = length;
  SignatureBytes theirs;
  FetchOutcome fetched = co_await FetchSignature(source_, shared_, request, &theirs);
  if (!fetched.ok()) co_return false;
  absl::StatusOr<std::vector<LeafRecord>> wanted = DecodeLeaves(theirs, LeafCount(length));
  if (!wanted.ok()) co_return false;
  // Holes of the source say nothing of where this file has some: what is read there is zeros or not.
  SignatureReader reader(shard_->driver(), shard_->buffers(), file_,
                         {.digest_seed = shared_->options().digest_seed, .leaf_key = key_, .may_have_holes = false});
  absl::StatusOr<SignatureBytes> ours = co_await reader.Read(request);
  if (!ours.ok()) co_return false;
  absl::StatusOr<std::vector<LeafRecord>> found = DecodeLeaves(*ours, LeafCount(length));
  if (!found.ok()) co_return false;
  for (size_t i = 0; i < wanted->size(); ++i) {
    const uint64_t at = offset + i * kLeafBytes;
    LeafRecord& leaf = (*wanted)[i];
    if (leaf.kind == LeafKind::kHole) {
      LeafHasher hasher(key_);
      const std::vector<std::byte> zeros(LeafLength(at / kLeafBytes, request_.size_bytes));
      leaf.digest = hasher.Tag(at / kLeafBytes, zeros);
    }
    if (leaf.digest != (*found)[i].digest) co_return false;
  }
  co_return true;
}

}  // namespace uringsync
