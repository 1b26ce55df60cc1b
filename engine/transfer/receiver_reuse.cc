// What Receiver takes of a file without having it sent: the source's extents, an old file, a part that is there
// already.
#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/clone.h"
#include "engine/fs/file.h"
#include "engine/transfer/receiver.h"

namespace uringsync {
namespace {

// How much of a file of `size_bytes` is compared where `present` bytes of it may be there: whole leaves.
uint64_t EndOfPart(uint64_t present, uint64_t size_bytes) {
  return std::min(size_bytes, (present + kLeafBytes - 1) / kLeafBytes * kLeafBytes);
}

void Refresh(const CurrentFile& current, Entry* wanted) {
  wanted->id = current.file;
  wanted->size_bytes = current.size_bytes;
  wanted->mtime = current.mtime;
}

}  // namespace

Task<std::optional<Receiver::FillResult>> Receiver::FillClone(int fd, IncomingFile* file) {
  const ReflinkMode mode = shared_->options().reflink;
  const uint64_t device = file->wanted.id.device;
  const bool always = mode == ReflinkMode::kAlways;
  // A clone has the holes of its source: where holes are to be written out it is copied.
  // What is shared with the source was never written, so there is nothing to read again.
  const bool may = mode != ReflinkMode::kNever && file->written == nullptr && file->wanted.size_bytes > 0 &&
                   (always || (shared_->options().sparse && shared_->MayClone(device)));
  if (!may) co_return std::nullopt;
  FillResult result;
  FileRequest request = file->Request();
  request.length = file->wanted.size_bytes;
  CloneOutcome outcome = co_await source_->Clone(std::move(request), fd);
  if (outcome.cloned) {
    shared_->counters().bytes_cloned.fetch_add(file->wanted.size_bytes, std::memory_order_relaxed);
    file->turn = SemaphoreUnits();
    result.data_end = file->wanted.size_bytes;
    co_return result;
  }
  if (outcome.refused == 0) {
    result.current = outcome.end.current;
    result.failure = SourceFailure(outcome.end.status, outcome.end.operation, outcome.end.error);
    co_return result;
  }
  if (always) {
    result.failure = WriteFailure(outcome.refused, "clone");
    co_return result;
  }
  if (NeverClones(outcome.refused)) shared_->SetNeverClones(device);
  absl::Status emptied = TruncateTo(shard_->driver(), fd, 0);
  if (emptied.ok()) co_return std::nullopt;
  result.failure = WriteFailure(StatusErrno(emptied), "ftruncate");
  co_return result;
}

Task<std::optional<Receiver::FillResult>> Receiver::FillDelta(DataFile data, IncomingFile* file) {
  const bool may =
      file->basis != nullptr && MayUseDelta(shared_->options().delta, file->wanted.size_bytes, file->basis->size_bytes);
  if (!may) co_return std::nullopt;
  FillResult result;
  absl::Status usable = co_await source_->WaitUsable();
  if (!usable.ok()) {
    result.failure = FetchFailure(usable);
    co_return result;
  }
  // It has all shards at work as it is; what it waits for are answers.
  file->turn = SemaphoreUnits();
  DeltaFill fill(shared_, Lanes(), file->Request(), file->basis.get(), data);
  fill.NoteWritten(file->written.get());
  DeltaResult delta = co_await fill.Run();
  co_return AfterDelta(std::move(delta), data, file->wanted.size_bytes, fill.arrived_bytes());
}

std::vector<DeltaLane> Receiver::Lanes() {
  std::vector<DeltaLane> lanes;
  lanes.push_back({shard_, source_, &delta_buffers_});
  for (Receiver* peer : peers_) {
    if (peer != this && peer->source_->usable()) lanes.push_back({peer->shard_, peer->source_, &peer->delta_buffers_});
  }
  return lanes;
}

std::optional<Receiver::FillResult> Receiver::AfterDelta(DeltaResult delta, DataFile data, uint64_t data_end,
                                                         uint64_t arrived_bytes) {
  FillResult result;
  result.arrived_bytes = arrived_bytes;
  switch (delta.outcome) {
    case DeltaResult::Outcome::kSendWhole: return std::nullopt;
    case DeltaResult::Outcome::kDone: result.data_end = data_end; break;
    case DeltaResult::Outcome::kFailed: {
      result.failure = std::move(delta.failure.failure);
      result.current = delta.failure.current;
      if (result.failure->kind != FailureKind::kIntegrity) break;
      // Digests that contradict the contents: the contents alone have one to be checked with.
      shared_->counters().retries.fetch_add(1, std::memory_order_relaxed);
      absl::Status emptied = TruncateTo(shard_->driver(), data.fd, 0);
      if (emptied.ok()) return std::nullopt;
      result.failure = WriteFailure(StatusErrno(emptied), "ftruncate");
    }
  }
  return result;
}

Task<std::optional<Receiver::FillResult>> Receiver::FillFromPart(DataFile data, IncomingFile* file) {
  const uint64_t part_bytes = file->basis->size_bytes;
  const bool moved = file->basis->moved && part_bytes == file->wanted.size_bytes;
  const bool may = moved || (MayUseDelta(shared_->options().delta, file->wanted.size_bytes, part_bytes) &&
                             part_bytes <= file->wanted.size_bytes);
  if (!may) co_return std::nullopt;
  absl::Status usable = co_await source_->WaitUsable();
  if (!usable.ok()) {
    FillResult result;
    result.failure = FetchFailure(usable);
    co_return result;
  }
  const uint64_t end = EndOfPart(part_bytes, file->wanted.size_bytes);
  DeltaFill fill(shared_, Lanes(), file->Request(), file->basis.get(), data, end,
                 /*present=*/0);
  fill.NoteWritten(file->written.get());
  // A single leaf tells by itself.
  const bool one_leaf = moved && part_bytes <= kLeafBytes;
  const bool is_part = one_leaf || co_await fill.IsPart();
  if (!is_part && !shared_->stopped()) co_return std::nullopt;
  DeltaResult delta = co_await fill.RunPart();
  std::optional<FillResult> result = AfterDelta(std::move(delta), data, end, fill.arrived_bytes());
  if (!result.has_value() || result->failure.has_value() || end == file->wanted.size_bytes) co_return result;
  co_return co_await FillLarge(data, file, end);
}

Task<Receiver::FillResult> Receiver::FillBehind(DataFile data, IncomingFile* file) {
  uint64_t from = file->present_bytes;
  if (file->written != nullptr && !file->verify_present) file->written->Trust(from);
  if (file->verify_present) {
    absl::Status usable = co_await source_->WaitUsable();
    if (!usable.ok()) {
      FillResult result;
      result.failure = FetchFailure(usable);
      co_return result;
    }
    from = EndOfPart(from, file->wanted.size_bytes);
    DeltaFill fill(shared_, Lanes(), file->Request(), /*basis=*/nullptr, data, from, file->present_bytes);
    fill.NoteWritten(file->written.get());
    DeltaResult delta = co_await fill.RunPart();
    std::optional<FillResult> proven = AfterDelta(std::move(delta), data, from, 0);
    // Emptied, where the digests were of no use.
    if (!proven.has_value()) from = 0;
    if (!proven.has_value() && file->written != nullptr) file->written->Clear();
    if (proven.has_value() && (proven->failure.has_value() || from == file->wanted.size_bytes))
      co_return *std::move(proven);
  }
  co_return co_await FillLarge(data, file, from);
}

Task<absl::Status> Receiver::SetRoomAside(int fd, const IncomingFile* file) {
  SemaphoreUnits turn;
  if (!allocated_) turn = co_await first_allocation_.Acquire(1);
  FileSystemFacts* const system = shared_->SystemOf(shard_->driver(), fd);
  absl::Status room = co_await Preallocate(shard_->driver(), fd, file->wanted.size_bytes, system);
  allocated_ = true;
  co_return room;
}

Task<std::optional<Receiver::FillResult>> Receiver::FillReusing(DataFile data, IncomingFile* file) {
  if (file->present_bytes > 0) co_return co_await FillBehind(data, file);
  std::optional<FillResult> reused = co_await FillClone(data.fd, file);
  if (reused.has_value()) co_return reused;
  if (file->preallocate) {
    // A clone that is refused empties the file.
    absl::Status room = co_await SetRoomAside(data.fd, file);
    if (!room.ok()) {
      reused.emplace().failure = WriteFailure(StatusErrno(room), "fallocate");
      co_return reused;
    }
  }
  if (file->basis != nullptr && file->basis->part) reused = co_await FillFromPart(data, file);
  if (!reused.has_value()) reused = co_await FillDelta(data, file);
  co_return reused;
}

absl::Status Receiver::StartAgain(int fd, const CurrentFile& current, IncomingFile* file) {
  Refresh(current, &file->wanted);
  // What the source has now may be shorter than what was there.
  if (file->present_bytes >= file->wanted.size_bytes) file->present_bytes = 0;
  return TruncateTo(shard_->driver(), fd, file->present_bytes);
}

}  // namespace uringsync
