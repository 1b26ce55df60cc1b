#include "engine/transfer/receiver.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/clone.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"
#include "engine/transfer/delta_fetch.h"
#include "engine/transfer/delta_fill.h"
#include "engine/transfer/range_queue.h"

namespace uringsync {
namespace {

// How far behind the place where a large file is written its pages are let go of.
constexpr uint64_t kDropBehindBytes = 16 * kRangeBytes;

FileRequest RequestFor(const RelPath& path, const Entry& wanted) {
  FileRequest request;
  request.path = path;
  request.type = wanted.type;
  request.file = wanted.id;
  request.size_bytes = wanted.type == FileType::kRegular ? wanted.size_bytes : 0;
  request.mtime = wanted.mtime;
  return request;
}

void Refresh(const CurrentFile& current, Entry* wanted) {
  wanted->id = current.file;
  wanted->mode = current.mode;
  wanted->uid = current.uid;
  wanted->gid = current.gid;
  wanted->size_bytes = current.size_bytes;
  wanted->mtime = current.mtime;
}

// "fchownat: Operation not permitted" names the call that failed.
std::string OperationOf(const absl::Status& status) {
  std::string_view message = ToStd(status.message());
  return std::string(message.substr(0, message.find(':')));
}

}  // namespace

// One large file while it is filled; shared by the workers of all shards.
struct Receiver::LargeFile {
  Receiver* owner = nullptr;
  IncomingFile* file = nullptr;
  DataFile data;
  const uint64_t size_bytes;
  Scope* scope = nullptr;
  RangeQueue ranges;
  std::atomic<uint64_t> done_bytes{0};
  std::atomic<uint64_t> data_end{0};
  std::atomic<bool> failed{false};
  std::atomic<bool> drained{false};
  std::mutex mutex;
  std::optional<TransferFailure> failure;  // the first one
  std::optional<CurrentFile> current;

  explicit LargeFile(uint64_t size) : size_bytes(size), ranges(size, kRangeBytes) {}
  std::optional<FileRange> Take() {
    if (failed.load()) ranges.Close();
    std::optional<FileRange> range = ranges.Take();
    if (ranges.empty()) Drain();
    return range;
  }
  void Drain() {
    if (drained.exchange(true)) return;
    for (Receiver* peer : owner->peers_) scope->SpawnOn(peer->shard_, peer->OnDrained(this));
  }
  void Fail(TransferFailure why, std::optional<CurrentFile> now) {
    std::lock_guard lock(mutex);
    if (failure.has_value()) return;
    failure = std::move(why);
    current = std::move(now);
    failed.store(true);
  }
  void RaiseDataEnd(uint64_t end) {
    uint64_t seen = data_end.load();
    while (seen < end && !data_end.compare_exchange_weak(seen, end)) {
    }
  }
};

Receiver::Receiver(Shard* shard, ReceiveShared* shared, ContentSource* source)
    : shard_(shard), shared_(shared), source_(source), xattrs_(shard->driver()) {
  peers_.push_back(this);
}

Receiver::~Receiver() = default;

bool Receiver::MayRepeat(const absl::Status& fetched, const PieceWriter& writer, Tries* tries,
                         std::optional<TransferFailure>* failure) {
  *failure = writer.failure().has_value() ? *writer.failure() : FetchFailure(fetched);
  if (shared_->stopped()) return false;
  bool again = false;
  if (writer.mismatch()) {
    again = ++tries->content < kMaxContentTries;
  } else if (absl::IsUnavailable(fetched) && !writer.failure().has_value()) {
    again = ++tries->connection < kMaxConnectionTries;
  }
  if (again) shared_->counters().retries.fetch_add(1, std::memory_order_relaxed);
  return again;
}

Task<Receiver::FillResult> Receiver::FillSmall(DataFile data, const IncomingFile& file) {
  FillResult result;
  FileRequest request = RequestFor(file.path, file.wanted);
  request.length = file.wanted.size_bytes;
  request.want_xattrs = file.want_xattrs;
  if (request.length == 0 && !request.want_xattrs) co_return result;
  Tries tries;
  while (true) {
    PieceWriter writer(shard_->driver(), shared_, data);
    absl::Status fetched = co_await source_->Fetch(request, &writer);
    if (fetched.ok() && writer.complete()) {
      writer.CountBytes();
      result.failure.reset();
      result.data_end = writer.data_end();
      result.xattrs = std::move(writer.xattrs());
      co_return result;
    }
    if (!MayRepeat(fetched, writer, &tries, &result.failure)) {
      result.current = writer.current();
      co_return result;
    }
  }
}

Task<void> Receiver::FillRange(LargeFile* large, uint64_t offset, uint64_t length) {
  FileRequest request = RequestFor(large->file->path, large->file->wanted);
  request.offset = offset;
  request.length = length;
  Tries tries;
  while (!large->failed.load()) {
    PieceWriter writer(shard_->driver(), shared_, large->data);
    shared_->link_rate().Begin();
    absl::Status fetched = co_await source_->Fetch(request, &writer);
    shared_->link_rate().End(fetched.ok() && writer.complete() ? writer.received_bytes() : 0);
    if (fetched.ok() && writer.complete()) {
      writer.CountBytes();
      large->RaiseDataEnd(writer.data_end());
      const uint64_t done = large->done_bytes.fetch_add(length) + length + large->ranges.skipped_bytes();
      shared_->Moving(large->file->path.text(), done, large->size_bytes);
      // The disk starts on what is there while the rest arrives: the fsync at the end finds little left.
      if (shared_->options().sync) {
        sys::StartWriteback(shard_->driver(), large->data.fd, offset, length);
        // What was begun a while ago is on disk by now, and leaves the cache.
        if (shared_->options().drop_behind && offset > kDropBehindBytes)
          AdviseDontNeed(shard_->driver(), large->data.fd, 0, offset - kDropBehindBytes);
      }
      co_return;
    }
    std::optional<TransferFailure> failure;
    if (!MayRepeat(fetched, writer, &tries, &failure)) large->Fail(*std::move(failure), writer.current());
  }
}

Task<void> Receiver::WaitWhileBusy(LargeFile* large) {
  struct Suspend {
    std::vector<std::coroutine_handle<>>* waiters;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { waiters->push_back(handle); }
    void await_resume() const noexcept {}
  };
  if (waiting_helpers_++ == 0) source_->SetOnUsable([this] { WakeHelpers(); });
  while ((own_files_with_ranges_ > 0 || !source_->usable()) && !large->drained.load()) co_await Suspend{&helpers_};
  if (--waiting_helpers_ == 0) source_->SetOnUsable(nullptr);
}

Task<void> Receiver::OnDrained(LargeFile* large) {
  if (large->owner == this) {
    --own_files_with_ranges_;
    large->file->turn = SemaphoreUnits();
  }
  WakeHelpers();
  co_return;
}

void Receiver::WakeHelpers() {
  std::vector<std::coroutine_handle<>> helpers;
  helpers.swap(helpers_);
  for (std::coroutine_handle<> helper : helpers) shard_->Post(helper);
}

Task<void> Receiver::RangeWorker(LargeFile* large) {
  while (true) {
    if (large->owner != this) co_await WaitWhileBusy(large);
    const std::optional<FileRange> range = large->Take();
    if (!range.has_value()) break;
    ++ranges_filling_;
    co_await FillRange(large, range->offset, range->length);
    --ranges_filling_;
    MaybeAddWorker(large);
  }
}

void Receiver::MaybeAddWorker(LargeFile* large) {
  // This worker takes the next range, the new one the one after it.
  if ((ranges_filling_ + 2) * kRangeBytes > source_->outstanding_bytes() || large->drained.load()) return;
  large->scope->SpawnOn(shard_, RangeWorker(large));
}

Task<void> Receiver::LearnHoles(LargeFile* large) {
  FileRequest request = RequestFor(large->file->path, large->file->wanted);
  request.kind = RequestKind::kExtents;
  for (int asked = 0; asked < kMaxExtentLists && request.offset < large->size_bytes; ++asked) {
    if (large->failed.load() || large->ranges.empty()) break;
    request.length = large->size_bytes - request.offset;
    SignatureBytes payload;
    // What goes wrong here goes wrong for the ranges too, and is told there.
    FetchOutcome fetched = co_await FetchSignature(source_, shared_, request, &payload);
    if (!fetched.ok()) break;
    absl::StatusOr<ExtentList> list = DecodeExtents(payload, request.offset, large->size_bytes);
    if (!list.ok() || large->ranges.AddHoles(*list, request.offset) == 0) break;
    request.offset = list->covered;
  }
  if (large->ranges.empty()) large->Drain();
}

Task<Receiver::FillResult> Receiver::FillLarge(DataFile data, IncomingFile* file) {
  FillResult result;
  absl::Status usable = co_await source_->WaitUsable();
  if (!usable.ok()) {
    result.failure = FetchFailure(usable);
    co_return result;
  }
  if (data.direct >= 0) {
    const bool dense = !shared_->options().sparse || file->wanted.allocated_bytes >= file->wanted.size_bytes;
    absl::Status laid_out = co_await PrepareDirectWrites(shard_->driver(), data, file->wanted.size_bytes, dense);
    if (!laid_out.ok()) result.failure = WriteFailure(StatusErrno(laid_out), "fallocate");
    if (result.failure.has_value()) co_return result;
  }
  Scope scope;
  LargeFile large(file->wanted.size_bytes);
  large.owner = this;
  large.file = file;
  large.data = data;
  large.scope = &scope;
  ++own_files_with_ranges_;
  // Asked first, and answered while the first ranges are under way.
  const bool holey = large.size_bytes >= kMinHoleyBytes && file->wanted.allocated_bytes + kMinToldHole <= large.size_bytes;
  if (shared_->options().sparse && holey) scope.Spawn(LearnHoles(&large));
  for (size_t worker = 0; worker < kRangeWorkersPerShard; ++worker) {
    // A shard whose connection is not there yet helps as soon as it is: the first file is asked for before all are.
    for (Receiver* peer : peers_) scope.SpawnOn(peer->shard_, peer->RangeWorker(&large));
  }
  co_await scope.Join();
  shared_->Moved(file->path.text());
  result.failure = std::move(large.failure);
  result.current = large.current;
  result.data_end = large.data_end.load();
  co_return result;
}

Task<std::optional<Receiver::FillResult>> Receiver::FillClone(int fd, IncomingFile* file) {
  const ReflinkMode mode = shared_->options().reflink;
  const uint64_t device = file->wanted.id.device;
  const bool always = mode == ReflinkMode::kAlways;
  // A clone has the holes of its source: where holes are to be written out it is copied.
  const bool may = mode != ReflinkMode::kNever && file->wanted.size_bytes > 0 &&
                   (always || (shared_->options().sparse && shared_->MayClone(device)));
  if (!may) co_return std::nullopt;
  FillResult result;
  FileRequest request = RequestFor(file->path, file->wanted);
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
  const bool may = file->basis != nullptr &&
                   MayUseDelta(shared_->options().delta, file->wanted.size_bytes, file->basis->size_bytes);
  if (!may) co_return std::nullopt;
  FillResult result;
  absl::Status usable = co_await source_->WaitUsable();
  if (!usable.ok()) {
    result.failure = FetchFailure(usable);
    co_return result;
  }
  // It has all shards at work as it is; what it waits for are answers.
  file->turn = SemaphoreUnits();
  std::vector<DeltaLane> lanes;
  lanes.push_back({shard_, source_, &delta_buffers_});
  for (Receiver* peer : peers_) {
    if (peer != this && peer->source_->usable()) lanes.push_back({peer->shard_, peer->source_, &peer->delta_buffers_});
  }
  DeltaFill fill(shared_, std::move(lanes), RequestFor(file->path, file->wanted), file->basis.get(), data);
  DeltaResult delta = co_await fill.Run();
  switch (delta.outcome) {
    case DeltaResult::Outcome::kSendWhole: co_return std::nullopt;
    case DeltaResult::Outcome::kDone: result.data_end = file->wanted.size_bytes; break;
    case DeltaResult::Outcome::kFailed: {
      result.failure = std::move(delta.failure.failure);
      result.current = delta.failure.current;
      if (result.failure->kind != FailureKind::kIntegrity) break;
      // Digests that contradict the contents: the contents alone have one to be checked with.
      shared_->counters().retries.fetch_add(1, std::memory_order_relaxed);
      absl::Status emptied = TruncateTo(shard_->driver(), data.fd, 0);
      if (emptied.ok()) co_return std::nullopt;
      result.failure = WriteFailure(StatusErrno(emptied), "ftruncate");
    }
  }
  co_return result;
}

std::optional<TransferFailure> Receiver::SetMetadata(ObjectHandle object, const Entry& wanted, const XattrList* xattrs,
                                                     const Made& made) {
  MetadataRequest request;
  request.wanted = &wanted;
  request.xattrs = xattrs;
  request.selection = &shared_->options().selection;
  request.capabilities = &shared_->options().capabilities;
  request.fresh = made.parent != nullptr;
  request.inherits_acl = request.fresh && InheritsAcl(&xattrs_, *made.parent);
  if (request.fresh && !request.selection->mode) {
    request.unselected_mode = made.replaced_mode;
    request.creation_mask =
        CreationMask(&xattrs_, made.parent->fd(), *request.selection, request.capabilities->umask);
  }
  MetadataCounters skipped;
  absl::Status applied = ApplyMetadata(&xattrs_, object, request, &skipped);
  shared_->counters().AddSkipped(skipped);
  if (applied.ok()) return std::nullopt;
  return WriteFailure(StatusErrno(applied), OperationOf(applied));
}

Task<std::optional<TransferFailure>> Receiver::FetchXattrs(RelPath path, Entry wanted, XattrList* xattrs) {
  FileRequest request = RequestFor(path, wanted);
  request.want_xattrs = true;
  Tries tries;
  std::optional<TransferFailure> failure;
  while (true) {
    PieceWriter writer(shard_->driver(), shared_, {});
    absl::Status fetched = co_await source_->Fetch(request, &writer);
    if (fetched.ok() && writer.complete()) {
      if (writer.xattrs().has_value()) *xattrs = *std::move(writer.xattrs());
      co_return std::nullopt;
    }
    if (!MayRepeat(fetched, writer, &tries, &failure)) co_return failure;
  }
}

Task<std::optional<TransferFailure>> Receiver::Fill(StagedObject* staged, IncomingFile* file) {
  Driver* driver = shard_->driver();
  if (file->wanted.size_bytes > kInlineWriteBytes) AllowInlineWrites(driver, staged->fd());
  FillResult filled;
  UniqueFd direct;
  if (file->wanted.size_bytes > kSmallFileBytes) direct = shared_->direct_io().Open(driver, staged->fd(), O_RDWR);
  const DataFile data{staged->fd(), direct.get()};
  for (int tries = 1;; ++tries) {
    std::optional<FillResult> reused = co_await FillClone(staged->fd(), file);
    if (!reused.has_value()) reused = co_await FillDelta(data, file);
    const bool small = !reused.has_value() && file->wanted.size_bytes <= kSmallFileBytes;
    if (reused.has_value()) {
      filled = *std::move(reused);
    } else if (small) {
      filled = co_await FillSmall(data, *file);
    } else {
      filled = co_await FillLarge(data, file);
    }
    if (!small && !filled.failure.has_value() && file->want_xattrs) {
      filled.xattrs.emplace();
      filled.failure = co_await FetchXattrs(file->path, file->wanted, &*filled.xattrs);
    }
    if (!filled.failure.has_value()) break;
    bool again = filled.failure->kind == FailureKind::kChanged && filled.current.has_value() &&
                 tries < kMaxContentTries && !shared_->stopped();
    if (!again) co_return filled.failure;
    shared_->counters().retries.fetch_add(1, std::memory_order_relaxed);
    Refresh(*filled.current, &file->wanted);
    absl::Status emptied = TruncateTo(driver, staged->fd(), 0);
    if (!emptied.ok()) co_return WriteFailure(StatusErrno(emptied), "ftruncate");
  }
  if (filled.data_end < file->wanted.size_bytes) {
    absl::Status sized = TruncateTo(driver, staged->fd(), file->wanted.size_bytes);
    if (!sized.ok()) co_return WriteFailure(StatusErrno(sized), "ftruncate");
  }
  const Made made{.parent = file->in_place ? nullptr : staged->parent().get(), .replaced_mode = file->replaced_mode};
  co_return SetMetadata(staged->handle(), file->wanted, filled.xattrs.has_value() ? &*filled.xattrs : nullptr, made);
}

}  // namespace uringsync
