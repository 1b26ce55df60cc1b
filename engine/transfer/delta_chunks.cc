#include "engine/transfer/delta_chunks.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/transfer/signature_reader.h"

namespace uringsync {
namespace {

// Chunks of one range on average: enough that its beginning, which is cut twice, does not count.
constexpr uint64_t kChunksPerRange = 512;
// Ranges that one shard has under way: some are the source's work, some its own.
constexpr size_t kSearchWorkersPerShard = 4;

}  // namespace

ChunkSearch::ChunkSearch(DeltaJob* job, std::vector<DeltaLane> lanes)
    : job_(job),
      lanes_(std::move(lanes)),
      average_(ChunkAverageFor(std::max(job->size_bytes, job->basis->size_bytes))) {}

bool ChunkSearch::possible() const {
  const uint64_t larger = std::max(job_->size_bytes, job_->basis->size_bytes);
  return larger / average_ < kMaxIndexedChunks;
}

void ChunkSearch::AddRanges(uint64_t length_limit) {
  const uint64_t range_bytes = std::min(kMaxSignatureRange, kChunksPerRange * average_);
  const uint64_t theirs = std::min(job_->size_bytes, length_limit);
  const uint64_t ours = std::min(job_->basis->size_bytes, length_limit);
  ranges_.clear();
  next_.store(0);
  // In turns: the source works on its ranges while this side works on its own.
  for (uint64_t offset = 0; offset < std::max(theirs, ours); offset += range_bytes) {
    if (offset < theirs) ranges_.push_back({false, offset, std::min(range_bytes, theirs - offset), {}});
    if (offset < ours) ranges_.push_back({true, offset, std::min(range_bytes, ours - offset), {}});
  }
}

Task<void> ChunkSearch::CutOurs(DeltaLane lane, Range* range) {
  SignatureReader reader(lane.shard->driver(), lane.shard->buffers(), job_->basis->data(),
                         {.digest_seed = job_->shared->options().digest_seed, .leaf_key = {}, .may_have_holes = false});
  absl::StatusOr<ChunkList> list = co_await reader.Chunks({.offset = range->offset,
                                                           .length = range->length,
                                                           .size_bytes = job_->basis->size_bytes,
                                                           .average_bytes = average_,
                                                           .with_leaves = false});
  // An old file that cannot be read, or shrinks, is no help; what is missing is fetched.
  if (list.ok()) range->list = *std::move(list);
}

Task<void> ChunkSearch::AskTheirs(DeltaLane lane, Range* range) {
  SignatureBytes payload;
  FetchOutcome fetched = co_await FetchSignature(
      lane.source, job_->shared, job_->Ask(RequestKind::kChunks, range->offset, range->length, average_), &payload);
  if (!fetched.ok()) {
    job_->Fail(std::move(fetched));
    co_return;
  }
  absl::StatusOr<ChunkList> list = DecodeChunkList(payload, average_, range->length, job_->size_bytes - range->offset);
  if (list.ok()) {
    range->list = *std::move(list);
  } else {
    job_->Fail({IntegrityFailure(std::string(ToStd(list.status().message()))), std::nullopt});
  }
}

Task<void> ChunkSearch::Work(DeltaLane lane) {
  size_t at = 0;
  while (!job_->stopped() && (at = next_.fetch_add(1)) < ranges_.size()) {
    Range* range = &ranges_[at];
    if (range->ours) {
      co_await CutOurs(lane, range);
    } else {
      co_await AskTheirs(lane, range);
    }
  }
}

Task<void> ChunkSearch::WorkAll() {
  Scope scope;
  for (size_t worker = 0; worker < kSearchWorkersPerShard; ++worker) {
    for (const DeltaLane& lane : lanes_) scope.SpawnOn(lane.shard, Work(lane));
  }
  co_await scope.Join();
}

Task<bool> ChunkSearch::TryWindow() {
  AddRanges(kChunkWindowBytes);
  co_await WorkAll();
  if (job_->stopped()) co_return false;
  ChunkIndex index;
  CopyPlan plan;
  for (const Range& range : ranges_) {
    uint64_t offset = range.offset;
    for (const Chunk& chunk : range.list.chunks) {
      if (range.ours) index.Add(chunk, offset);
      offset += chunk.length;
    }
  }
  for (const Range& range : ranges_) {
    if (!range.ours) plan.Add(range.list.chunks, range.offset, index);
  }
  plan.Finish();
  co_return EnoughMatches(plan.matched_bytes(), std::min(job_->size_bytes, kChunkWindowBytes));
}

Task<bool> ChunkSearch::Run() {
  AddRanges(UINT64_MAX);
  co_await WorkAll();
  if (job_->stopped()) co_return false;
  ChunkIndex index;
  for (const Range& range : ranges_) {
    uint64_t offset = range.offset;
    for (const Chunk& chunk : range.list.chunks) {
      if (range.ours) index.Add(chunk, offset);
      offset += chunk.length;
    }
  }
  for (Range& range : ranges_) {
    if (range.ours) continue;
    job_->copies.Add(range.list.chunks, range.offset, index);
    job_->leaves.insert(job_->leaves.end(), range.list.leaves.begin(), range.list.leaves.end());
    range.list = {};
  }
  job_->copies.Finish();
  co_return EnoughMatches(job_->copies.matched_bytes(), job_->size_bytes);
}

}  // namespace uringsync
