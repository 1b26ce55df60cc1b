#include "engine/transfer/delta_leaf.h"

#include <linux/falloc.h>

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"

namespace uringsync {
namespace {

constexpr size_t kZeroBlockBytes = 4096;

bool IsZero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} && std::equal(bytes.begin() + 1, bytes.end(), bytes.begin()));
}

size_t TotalOf(const std::vector<LeafRun>& runs) {
  size_t total = 0;
  for (const LeafRun& run : runs) total += run.length;
  return total;
}

}  // namespace

Task<bool> LeafPlacer::TakeOld(Leaf* leaf) {
  struct Source {
    CopyRun run;
    bool cloned;
  };
  std::vector<Source> sources;
  for (const CopyRun& run : job_->clones.Within(leaf->offset, leaf->length)) sources.push_back({run, true});
  for (const CopyRun& run : job_->copies.Within(leaf->offset, leaf->length)) sources.push_back({run, false});
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.run.new_offset < b.run.new_offset; });
  size_t at = 0;
  for (const Source& source : sources) {
    const size_t begin = static_cast<size_t>(source.run.new_offset - leaf->offset);
    const size_t length = static_cast<size_t>(source.run.length);
    if (begin > at) leaf->gaps.push_back({at, begin - at});
    const DataFile file = source.cloned ? job_->file : job_->basis->data();
    const uint64_t from = source.cloned ? source.run.new_offset : source.run.old_offset;
    absl::StatusOr<size_t> got = co_await ReadData(driver_, file, leaf->bytes().data() + begin, length, from);
    // What cannot be read is fetched: the old file is a help, no more.
    const size_t taken = got.ok() ? *got : 0;
    if (taken < length) leaf->gaps.push_back({begin + taken, length - taken});
    if (!source.cloned) leaf->dirty.push_back({begin, length});
    at = begin + length;
  }
  if (at < leaf->length) leaf->gaps.push_back({at, leaf->length - at});
  co_return leaf->gaps.empty() && IsRight(*leaf);
}

Task<void> LeafPlacer::FetchRun(Leaf* leaf, LeafRun run) {
  FetchOutcome fetched = co_await FetchBytes(lane_.source, job_->shared,
                                             job_->Ask(RequestKind::kContents, leaf->offset + run.offset, run.length),
                                             leaf->bytes().subspan(run.offset, run.length));
  if (!fetched.ok()) {
    job_->Fail(std::move(fetched));
    co_return;
  }
  leaf->fetched_bytes += run.length;
}

Task<bool> LeafPlacer::Fetch(Leaf* leaf, std::vector<LeafRun> runs) {
  Scope scope;
  for (const LeafRun& run : runs) {
    leaf->dirty.push_back(run);
    scope.Spawn(FetchRun(leaf, run));
  }
  co_await scope.Join();
  co_return !job_->stopped() && IsRight(*leaf);
}

Task<bool> LeafPlacer::FetchWhole(Leaf* leaf) {
  leaf->dirty.clear();
  std::vector<LeafRun> all(1, LeafRun{0, leaf->length});
  co_return co_await Fetch(leaf, std::move(all));
}

Task<bool> LeafPlacer::FetchChangedBlocks(Leaf* leaf) {
  SignatureBytes payload;
  FetchOutcome fetched = co_await FetchSignature(
      lane_.source, job_->shared, job_->Ask(RequestKind::kBlocks, leaf->offset, leaf->length, block_bytes_), &payload);
  if (!fetched.ok()) {
    job_->Fail(std::move(fetched));
    co_return false;
  }
  const std::vector<uint64_t> ours = BlockDigests(leaf->bytes(), block_bytes_, job_->shared->options().digest_seed);
  absl::StatusOr<std::vector<uint64_t>> theirs = DecodeBlocks(payload, ours.size());
  if (!theirs.ok()) {
    job_->Fail({IntegrityFailure(std::string(ToStd(theirs.status().message()))), std::nullopt});
    co_return false;
  }
  std::vector<LeafRun> changed = ChangedRuns(ours, *theirs, block_bytes_, leaf->length);
  if (changed.empty() || changed.size() > kMaxLeafRuns || TotalOf(changed) > leaf->length / 2) co_return false;
  co_return co_await Fetch(leaf, std::move(changed));
}

Task<void> LeafPlacer::Repair(Leaf leaf) {
  bool right = false;
  if (TotalOf(leaf.gaps) * 2 <= leaf.length && leaf.gaps.size() <= kMaxLeafRuns) {
    if (!leaf.gaps.empty()) right = co_await Fetch(&leaf, leaf.gaps);
    if (!right && !job_->stopped()) right = co_await FetchChangedBlocks(&leaf);
  }
  if (!right && !job_->stopped()) right = co_await FetchWhole(&leaf);
  if (job_->stopped()) co_return;
  // Of a file that moves meanwhile the bytes are younger than the tag.
  if (!right && !job_->request.accept_moving) {
    // Pieces that match their digests and a leaf that does not: the source's answers do not belong together.
    job_->Fail({IntegrityFailure("a leaf does not match its digest"), std::nullopt});
    co_return;
  }
  co_await Write(&leaf);
}

void LeafPlacer::FailWrite(const absl::Status& error) {
  job_->Fail({WriteFailure(StatusErrno(error), "write"), std::nullopt});
}

Task<absl::Status> LeafPlacer::WriteZeros(uint64_t offset, size_t length, std::span<const std::byte> zeros) {
  // The staged file is a hole where nothing was written or cloned.
  if (!job_->cloned) co_return absl::OkStatus();
  FileSystemFacts* const system = job_->shared->SystemOf(driver_, job_->file.fd);
  if (system != nullptr && system->Lacks(Lack::kPunching))
    co_return co_await WriteData(driver_, job_->file, zeros.data(), length, offset);
  Op punch;
  punch.code = OpCode::kFallocate;
  punch.fd = job_->file.fd;
  punch.offset = offset;
  punch.length64 = length;
  punch.flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const int64_t punched = co_await Await(driver_, &punch);
  if (punched >= 0) co_return absl::OkStatus();
  if (punched == -EOPNOTSUPP && system != nullptr) system->Remember(Lack::kPunching);
  co_return co_await WriteData(driver_, job_->file, zeros.data(), length, offset);
}

Task<absl::Status> LeafPlacer::WriteRun(const Leaf& leaf, LeafRun run) {
  const bool holes = leaf.record.kind == LeafKind::kSparse && job_->shared->options().sparse;
  size_t at = run.offset;
  const size_t end = run.offset + run.length;
  while (at < end) {
    // Blocks of one kind together; without holes everything is one.
    size_t next = holes ? at : end;
    bool zero = false;
    while (next < end) {
      const size_t block_end = std::min(end, (next / kZeroBlockBytes + 1) * kZeroBlockBytes);
      const bool block_zero = IsZero(leaf.bytes().subspan(next, block_end - next));
      if (next > at && block_zero != zero) break;
      zero = block_zero;
      next = block_end;
    }
    std::span<const std::byte> part = leaf.bytes().subspan(at, next - at);
    absl::Status written;
    if (zero) {
      written = co_await WriteZeros(leaf.offset + at, part.size(), part);
    } else {
      written = co_await WriteData(driver_, job_->file, part.data(), part.size(), leaf.offset + at);
      job_->shared->counters().bytes_written.fetch_add(part.size(), std::memory_order_relaxed);
    }
    if (!written.ok()) co_return written;
    at = next;
  }
  co_return absl::OkStatus();
}

Task<void> LeafPlacer::Write(Leaf* leaf) {
  if (int full = job_->shared->full(); full != 0) {
    FailWrite(ErrnoStatus(full, "write"));
    co_return;
  }
  std::vector<LeafRun> runs(1, LeafRun{0, leaf->length});
  if (job_->cloned) runs = leaf->dirty;
  for (const LeafRun& run : runs) {
    absl::Status written = co_await WriteRun(*leaf, run);
    if (!written.ok()) {
      FailWrite(written);
      co_return;
    }
  }
  if (job_->written != nullptr) job_->written->Add(leaf->offset, leaf->bytes());
  ReceiveCounters& counters = job_->shared->counters();
  const uint64_t fetched = std::min<uint64_t>(leaf->fetched_bytes, leaf->length);
  counters.bytes_received.fetch_add(fetched, std::memory_order_relaxed);
  counters.bytes_matched.fetch_add(leaf->length - fetched, std::memory_order_relaxed);
}

Task<void> LeafPlacer::MakeHole(uint64_t offset, size_t length) {
  DeltaBuffer buffer = co_await lane_.buffers->Get();
  std::span<std::byte> zeros = buffer.span().first(length);
  std::fill(zeros.begin(), zeros.end(), std::byte{0});
  absl::Status made;
  if (job_->shared->options().sparse) {
    made = co_await WriteZeros(offset, length, zeros);
  } else {
    made = co_await WriteData(driver_, job_->file, zeros.data(), length, offset);
  }
  if (!made.ok()) FailWrite(made);
}

}  // namespace uringsync
