#include "engine/transfer/delta_fill.h"

#include <fcntl.h>

#include <algorithm>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/delta/shift_search.h"
#include "engine/fs/clone.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"
#include "engine/transfer/delta_chunks.h"
#include "engine/transfer/delta_leaf.h"
#include "engine/transfer/signature_request.h"

namespace uringsync {
namespace {

// What is fetched to measure a link that no file has crossed yet: a sixteenth of the file at most, in parts at once;
// the first step is enough for a link that is slow beyond doubt, and the next ones see more than the beginning of a
// fast one.
struct MeasureStep {
  uint64_t bytes;
  double surely_slow;  // bytes a second: below this a longer look would not change the answer
};
constexpr MeasureStep kMeasureSteps[] = {{RateMeter::kEnoughBytes, kAssumedDeltaRate / 10},
                                         {uint64_t{1} << 20, kAssumedDeltaRate / 3},
                                         {uint64_t{3} << 20, 0}};
constexpr uint64_t kMeasureShare = 16;
constexpr uint64_t kMeasureParts = 4;
// The place of an insertion is looked for until it is known to within this, so many blocks at once, so many times at
// most.
constexpr uint64_t kShiftGrainBytes = 64 << 10;
constexpr uint64_t kShiftProbes = 8;
constexpr int kShiftRounds = 10;
// Offsets of clones, on every file system that can.
constexpr uint64_t kCloneAlignment = 4096;
// A shorter run is copied: a clone is a system call and an extent.
constexpr uint64_t kMinCloneBytes = 64 << 10;

}  // namespace

std::shared_ptr<DeltaBasis> OpenBasis(Driver* driver, int dirfd, const char* name, const Entry& existing,
                                      DirectIo* direct_io) {
  if (existing.type != FileType::kRegular || existing.size_bytes == 0) return nullptr;
  absl::StatusOr<SourceFile> opened = OpenSourceFile(driver, dirfd, name);
  if (!opened.ok() || CompareIdentity(IdentityOf(existing), opened->stat) != IdentityMatch::kSame) return nullptr;
  if (opened->stat.stx_blocks == 0) return nullptr;
  auto basis = std::make_shared<DeltaBasis>();
  basis->size_bytes = opened->stat.stx_size;
  basis->fd = std::move(opened->fd);
  if (basis->size_bytes > kMinDeltaBytes) basis->direct = direct_io->Open(driver, basis->fd.get(), O_RDONLY);
  return basis;
}

DeltaFill::DeltaFill(ReceiveShared* shared, std::vector<DeltaLane> lanes, FileRequest request, const DeltaBasis* basis,
                     DataFile file)
    : lanes_(std::move(lanes)) {
  job_.shared = shared;
  job_.leaf_key = LeafKeyFor(shared->options().leaf_secret, request);
  job_.request = std::move(request);
  job_.basis = basis;
  job_.file = file;
  job_.size_bytes = job_.request.size_bytes;
}

DeltaFill::DeltaFill(ReceiveShared* shared, std::vector<DeltaLane> lanes, FileRequest request, const DeltaBasis* basis,
                     DataFile file, uint64_t end, uint64_t present)
    : DeltaFill(shared, std::move(lanes), std::move(request), basis, file) {
  job_.size_bytes = end;
  present_ = present;
}

Task<void> DeltaFill::FetchForMeasure(uint64_t offset, uint64_t length) {
  RateMeter& link = job_.shared->link_rate();
  DeltaBuffer buffer = co_await lanes_[0].buffers->Get();
  link.Begin();
  FetchOutcome fetched = co_await FetchBytes(
      lanes_[0].source, job_.shared, job_.Ask(RequestKind::kContents, offset, length), buffer.span().first(length));
  link.End(fetched.ok() ? length : 0);
  if (!fetched.ok()) job_.Fail(std::move(fetched));
}

Task<void> DeltaFill::MeasureLink() {
  uint64_t left = job_.size_bytes / kMeasureShare;
  for (const MeasureStep& step : kMeasureSteps) {
    const uint64_t part = std::min(step.bytes, left) / kMeasureParts;
    if (part == 0 || job_.stopped()) co_return;
    Scope scope;
    for (uint64_t i = 0; i < kMeasureParts; ++i) scope.Spawn(FetchForMeasure(i * part, part));
    co_await scope.Join();
    left -= part * kMeasureParts;
    const double rate = job_.shared->link_rate().rate();
    if (rate > 0 && rate < step.surely_slow) co_return;
  }
}

Task<bool> DeltaFill::Pays(double matched_share) {
  if (job_.shared->options().delta == DeltaPolicy::kForce) co_return true;
  if (job_.shared->link_rate().rate() <= 0) co_await MeasureLink();
  co_return DeltaPays({.fetch_rate = job_.shared->link_rate().rate(),
                       .delta_rate = job_.shared->delta_rate().rate(),
                       .matched_share = matched_share});
}

Task<bool> DeltaFill::OldBlockIs(uint64_t offset, uint64_t wanted) {
  if (offset > job_.basis->size_bytes || job_.basis->size_bytes - offset < kSampleBlockBytes) co_return false;
  DeltaBuffer buffer = co_await lanes_[0].buffers->Get();
  std::span<std::byte> block = buffer.span().first(kSampleBlockBytes);
  absl::StatusOr<size_t> got = co_await ReadData(driver(), job_.basis->data(), block.data(), block.size(), offset);
  if (!got.ok() || *got < block.size()) co_return false;
  co_return BlockDigests(block, kSampleBlockBytes, job_.shared->options().digest_seed)[0] == wanted;
}

Task<void> DeltaFill::TakeSample(Sample* sample) {
  SignatureBytes payload;
  FetchOutcome fetched = co_await FetchSignature(
      lanes_[0].source, job_.shared,
      job_.Ask(RequestKind::kBlocks, sample->offset, kSampleBlockBytes, kSampleBlockBytes), &payload);
  absl::StatusOr<std::vector<uint64_t>> digests = DecodeBlocks(payload, 1);
  if (fetched.ok() && !digests.ok()) {
    fetched.failure = IntegrityFailure(std::string(ToStd(digests.status().message())));
  }
  if (!fetched.ok()) {
    job_.Fail(std::move(fetched));
    co_return;
  }
  sample->same = co_await OldBlockIs(sample->offset, (*digests)[0]);
  const uint64_t shifted = sample->offset + job_.basis->size_bytes - job_.size_bytes;
  const bool inside =
      job_.basis->size_bytes >= job_.size_bytes || sample->offset >= job_.size_bytes - job_.basis->size_bytes;
  if (!sample->same && inside && shifted != sample->offset) {
    sample->shifted = co_await OldBlockIs(shifted, (*digests)[0]);
  }
}

Task<void> DeltaFill::TakeAll(std::vector<Sample>* samples) {
  Scope scope;
  for (Sample& sample : *samples) scope.Spawn(TakeSample(&sample));
  co_await scope.Join();
}

Task<DeltaSamples> DeltaFill::TakeSamples() {
  for (uint64_t offset : SampleOffsets(job_.size_bytes, kSampleBlockBytes)) samples_.push_back({.offset = offset});
  co_await TakeAll(&samples_);
  DeltaSamples result;
  result.samples = samples_.size();
  result.in_order = true;
  for (const Sample& sample : samples_) {
    if (sample.same && result.shifted_only > 0) result.in_order = false;
    result.same += sample.same ? 1 : 0;
    result.shifted_only += sample.shifted ? 1 : 0;
  }
  co_return result;
}

Task<void> DeltaFill::PlanShift() {
  ShiftSearch search(job_.size_bytes);
  std::vector<Sample> probes = samples_;
  for (int round = 0; round < kShiftRounds && !probes.empty() && !job_.stopped(); ++round) {
    if (round > 0) co_await TakeAll(&probes);
    for (const Sample& probe : probes) search.Note(probe.offset, probe.same, probe.shifted);
    probes.clear();
    for (uint64_t offset : search.Probes(kShiftProbes, kShiftGrainBytes)) probes.push_back({.offset = offset});
  }
  const uint64_t from = search.shifted_begin();
  if (search.same_end() > 0) job_.copies.AddRun({0, search.same_end(), 0});
  if (from < job_.size_bytes)
    job_.copies.AddRun({from, job_.size_bytes - from, from + job_.basis->size_bytes - job_.size_bytes});
  job_.copies.Finish();
}

Task<DeltaMode> DeltaFill::Choose() {
  const DeltaSamples samples = co_await TakeSamples();
  if (job_.stopped()) co_return DeltaMode::kWhole;
  const DeltaMode mode = job_.shared->options().delta_mode.value_or(ChooseMode(samples));
  const double in_place =
      samples.samples == 0 ? 1 : static_cast<double>(samples.same) / static_cast<double>(samples.samples);
  const bool pays = co_await Pays(mode == DeltaMode::kInPlace ? in_place : 1);
  co_return pays ? mode : DeltaMode::kWhole;
}

Task<void> DeltaFill::CloneInPlace() {
  const uint64_t common = std::min(job_.size_bytes, job_.basis->size_bytes);
  job_.cloned = CloneFile(driver(), job_.file.fd, job_.basis->fd.get()) >= 0;
  CopyPlan& plan = job_.cloned ? job_.clones : job_.copies;
  plan.AddRun({0, common, 0});
  plan.Finish();
  co_return;
}

// The parts of the runs that lie alike in their blocks become clones; once one is refused, the rest is copied.
void DeltaFill::CloneRuns() {
  CopyPlan copies;
  bool can = true;
  for (const CopyRun& run : job_.copies.runs()) {
    const uint64_t begin = (run.new_offset + kCloneAlignment - 1) / kCloneAlignment * kCloneAlignment;
    const uint64_t end = (run.new_offset + run.length) / kCloneAlignment * kCloneAlignment;
    const bool alike = (run.new_offset ^ run.old_offset) % kCloneAlignment == 0;
    if (can && alike && end >= begin + kMinCloneBytes) {
      const uint64_t from = run.old_offset + (begin - run.new_offset);
      can = CloneRange(driver(), job_.file.fd, begin, job_.basis->fd.get(), from, end - begin) >= 0;
      if (can) {
        job_.cloned = true;
        job_.clones.AddRun({begin, end - begin, from});
        if (begin > run.new_offset) copies.AddRun({run.new_offset, begin - run.new_offset, run.old_offset});
        const uint64_t rest = run.new_offset + run.length - end;
        if (rest > 0) copies.AddRun({end, rest, run.old_offset + run.length - rest});
        continue;
      }
    }
    copies.AddRun(run);
  }
  copies.Finish();
  job_.clones.Finish();
  job_.copies = std::move(copies);
}

Task<bool> DeltaFill::Prepare(DeltaMode mode) {
  if (mode == DeltaMode::kWhole) co_return false;
  if (mode == DeltaMode::kInPlace) {
    co_await CloneInPlace();
    co_return true;
  }
  if (mode == DeltaMode::kShifted) {
    co_await PlanShift();
    CloneRuns();
    co_return !job_.stopped();
  }
  ChunkSearch search(&job_, lanes_);
  if (!search.possible()) co_return false;
  SemaphoreUnits slot = co_await job_.shared->chunk_searches().Acquire(1);
  if (mode == DeltaMode::kTryChunks) {
    bool hopeful = co_await search.TryWindow();
    if (!hopeful) co_return false;
  }
  bool found = co_await search.Run();
  if (found) CloneRuns();
  co_return found;
}

Task<bool> DeltaFill::LeavesOf(DeltaLane lane, uint64_t offset, uint64_t length, std::vector<LeafRecord>* leaves) {
  const size_t first = static_cast<size_t>(offset / kLeafBytes);
  const size_t count = static_cast<size_t>(LeafCount(length));
  if (!job_.leaves.empty()) {
    leaves->assign(job_.leaves.begin() + static_cast<ptrdiff_t>(first),
                   job_.leaves.begin() + static_cast<ptrdiff_t>(first + count));
    co_return true;
  }
  SignatureBytes payload;
  FetchOutcome fetched =
      co_await FetchSignature(lane.source, job_.shared, job_.Ask(RequestKind::kLeaves, offset, length), &payload);
  if (fetched.ok()) {
    absl::StatusOr<std::vector<LeafRecord>> decoded = DecodeLeaves(payload, count);
    if (decoded.ok()) {
      *leaves = *std::move(decoded);
      co_return true;
    }
    fetched.failure = IntegrityFailure(std::string(ToStd(decoded.status().message())));
  }
  job_.Fail(std::move(fetched));
  co_return false;
}

Task<void> DeltaFill::PlaceRange(DeltaLane lane, uint64_t offset, uint64_t length) {
  std::vector<LeafRecord> leaves;
  bool known = co_await LeavesOf(lane, offset, length, &leaves);
  if (!known) co_return;
  LeafPlacer placer(&job_, lane);
  Scope repairs;
  for (size_t i = 0; i < leaves.size() && !job_.stopped(); ++i) {
    const uint64_t at = offset + i * kLeafBytes;
    const size_t leaf_length = static_cast<size_t>(std::min<uint64_t>(kLeafBytes, offset + length - at));
    if (leaves[i].kind == LeafKind::kHole) {
      co_await placer.MakeHole(at, leaf_length);
      continue;
    }
    DeltaBuffer buffer = co_await lane.buffers->Get();
    LeafPlacer::Leaf leaf(at, leaf_length, leaves[i], std::move(buffer));
    bool right = co_await placer.TakeOld(&leaf);
    if (right) {
      co_await placer.Write(&leaf);
    } else {
      repairs.Spawn(placer.Repair(std::move(leaf)));
    }
  }
  co_await repairs.Join();
  const uint64_t done = job_.done_bytes.fetch_add(length) + length;
  job_.shared->Moving(job_.request.path.text(), done, job_.size_bytes);
  if (job_.shared->options().sync) sys::StartWriteback(lane.shard->driver(), job_.file.fd, offset, length);
}

Task<void> DeltaFill::RangeWorker(DeltaLane lane) {
  while (!job_.stopped()) {
    const uint64_t offset = job_.next.fetch_add(kDeltaRangeBytes);
    if (offset >= job_.size_bytes) co_return;
    const uint64_t length = std::min(kDeltaRangeBytes, job_.size_bytes - offset);
    job_.arrived.Begin(offset, length);
    co_await PlaceRange(lane, offset, length);
    if (!job_.stopped()) job_.arrived.End(offset);
  }
}

Task<void> DeltaFill::Place() {
  // Holes need no write, and the last leaf may be one. What is in the file already stays.
  absl::Status sized = TruncateTo(driver(), job_.file.fd, std::max(job_.size_bytes, present_));
  if (!sized.ok()) {
    job_.Fail({WriteFailure(StatusErrno(sized), "ftruncate"), std::nullopt});
    co_return;
  }
  Scope scope;
  for (size_t worker = 0; worker < kDeltaWorkersPerShard; ++worker) {
    for (const DeltaLane& lane : lanes_) scope.SpawnOn(lane.shard, RangeWorker(lane));
  }
  co_await scope.Join();
  job_.shared->Moved(job_.request.path.text());
}

Task<bool> DeltaFill::IsPart() {
  const DeltaSamples samples = co_await TakeSamples();
  co_return !job_.stopped() && samples.same > 0 && samples.same * 2 >= samples.samples;
}

Task<DeltaResult> DeltaFill::RunPart() {
  bool prepared = !job_.stopped();
  if (prepared && job_.basis == nullptr) {
    job_.cloned = true;
    job_.clones.AddRun({0, std::min(present_, job_.size_bytes), 0});
    job_.clones.Finish();
  } else if (prepared) {
    co_await CloneInPlace();
  }
  if (prepared) co_await Place();
  co_return ResultOf(prepared);
}

Task<DeltaResult> DeltaFill::Run() {
  const DeltaMode mode = co_await Choose();
  RateMeter& rate = job_.shared->delta_rate();
  rate.Begin();
  const bool prepared = !job_.stopped() && co_await Prepare(mode);
  if (prepared) co_await Place();
  rate.End(prepared && !job_.stopped() ? job_.size_bytes : 0);
  co_return ResultOf(prepared);
}

DeltaResult DeltaFill::ResultOf(bool prepared) {
  DeltaResult result;
  if (job_.stopped()) {
    result.outcome = DeltaResult::Outcome::kFailed;
    result.failure = std::move(job_.outcome);
    if (result.failure.ok()) result.failure.failure = FetchFailure(absl::CancelledError("the session is over"));
  } else if (prepared) {
    result.outcome = DeltaResult::Outcome::kDone;
  }
  return result;
}

}  // namespace uringsync
