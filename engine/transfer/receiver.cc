#include "engine/transfer/receiver.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"
#include "engine/transfer/arrived_prefix.h"
#include "engine/transfer/delta_fetch.h"
#include "engine/transfer/range_queue.h"

namespace uringsync {
namespace {

// How far behind the place where a large file is written its pages are let go of.
constexpr uint64_t kDropBehindBytes = 16 * kRangeBytes;
// What a worker takes of a large file at once where every byte that came is kept.
constexpr uint64_t kKeptRangeBytes = uint64_t{1} << 20;

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
  const uint64_t range_bytes;
  Scope* scope = nullptr;
  RangeQueue ranges;
  ArrivedPrefix arrived;
  std::atomic<uint64_t> done_bytes{0};
  std::atomic<uint64_t> data_end{0};
  std::atomic<bool> failed{false};
  std::atomic<bool> drained{false};
  std::mutex mutex;
  std::optional<TransferFailure> failure;  // the first one
  std::optional<CurrentFile> current;

  LargeFile(uint64_t size, uint64_t range, uint64_t start)
      : size_bytes(size), range_bytes(range), ranges(size, range, start), arrived(start), done_bytes(start) {}
  std::optional<FileRange> Take() {
    if (failed.load()) ranges.Close();
    std::optional<FileRange> range = ranges.Take();
    if (range.has_value()) arrived.Begin(range->offset, range->length);
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
  FileRequest request = file.Request();
  request.length = file.wanted.size_bytes;
  // Of an empty file the attributes alone would be no look into it.
  request.want_xattrs = file.want_xattrs && request.length > 0;
  Tries tries;
  while (true) {
    PieceWriter writer(shard_->driver(), shared_, data, 0, file.written.get());
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
  FileRequest request = large->file->Request();
  request.offset = offset;
  request.length = length;
  Tries tries;
  while (!large->failed.load()) {
    PieceWriter writer(shard_->driver(), shared_, large->data, offset, large->file->written.get());
    shared_->link_rate().Begin();
    absl::Status fetched = co_await source_->Fetch(request, &writer);
    shared_->link_rate().End(fetched.ok() && writer.complete() ? writer.received_bytes() : 0);
    if (fetched.ok() && writer.complete()) {
      writer.CountBytes();
      large->arrived.End(offset);
      large->RaiseDataEnd(writer.data_end());
      PassKillPoint(KillPoint::kStageRange);
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
    if (MayRepeat(fetched, writer, &tries, &failure)) continue;
    // What is kept of the file was received, too.
    if (large->file->keeps_part) writer.CountBytes();
    large->arrived.Stop(offset, writer.whole_until());
    large->Fail(*std::move(failure), writer.current());
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
  if (large->file->in_order) return;
  // This worker takes the next range, the new one the one after it.
  if ((ranges_filling_ + 2) * large->range_bytes > source_->outstanding_bytes() || large->drained.load()) return;
  large->scope->SpawnOn(shard_, RangeWorker(large));
}

Task<void> Receiver::LearnHoles(LargeFile* large) {
  FileRequest request = large->file->Request();
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

Task<Receiver::FillResult> Receiver::FillLarge(DataFile data, IncomingFile* file, uint64_t start) {
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
  if (file->on_state) file->on_state(StagedState::kSending);
  Scope scope;
  LargeFile large(file->wanted.size_bytes, file->keeps_part ? kKeptRangeBytes : kRangeBytes, start);
  large.owner = this;
  large.file = file;
  large.data = data;
  large.scope = &scope;
  ++own_files_with_ranges_;
  // Asked first, and answered while the first ranges are under way.
  const bool holey =
      large.size_bytes >= kMinHoleyBytes && file->wanted.allocated_bytes + kMinToldHole <= large.size_bytes;
  if (shared_->options().sparse && holey) scope.Spawn(LearnHoles(&large));
  if (file->in_order) scope.Spawn(RangeWorker(&large));
  for (size_t worker = 0; worker < kRangeWorkersPerShard && !file->in_order; ++worker) {
    // A shard whose connection is not there yet helps as soon as it is: the first file is asked for before all are.
    for (Receiver* peer : peers_) scope.SpawnOn(peer->shard_, peer->RangeWorker(&large));
  }
  co_await scope.Join();
  shared_->Moved(file->path.text());
  result.failure = std::move(large.failure);
  result.current = large.current;
  result.data_end = std::max(large.data_end.load(), start);
  result.arrived_bytes = large.arrived.bytes();
  co_return result;
}

std::optional<TransferFailure> Receiver::SetMetadata(ObjectHandle object, const Entry& wanted, const XattrList* xattrs,
                                                     const Made& made) {
  MetadataRequest request;
  request.wanted = &wanted;
  request.xattrs = xattrs;
  request.selection = &shared_->options().selection;
  request.capabilities = &shared_->options().capabilities;
  request.systems = shared_->options().systems.get();
  request.fresh = made.parent != nullptr;
  request.written = request.fresh || made.written;
  request.inherits_acl = request.fresh && InheritsAcl(&xattrs_, *made.parent);
  if (request.fresh && !request.selection->mode) {
    request.unselected_mode = made.replaced_mode;
    request.creation_mask = CreationMask(&xattrs_, (made.target != nullptr ? made.target : made.parent)->fd(),
                                         *request.selection, request.capabilities->umask);
  }
  MetadataCounters skipped;
  absl::Status applied = ApplyMetadata(&xattrs_, object, request, &skipped);
  shared_->counters().AddSkipped(skipped);
  if (applied.ok()) return std::nullopt;
  return WriteFailure(StatusErrno(applied), OperationOf(applied));
}

Task<std::optional<TransferFailure>> Receiver::FetchXattrs(RelPath path, Entry wanted, XattrList* xattrs) {
  FileRequest request = FileRequest::Of(path, wanted);
  request.want_xattrs = true;
  // They do not depend on its contents.
  request.accept_moving = shared_->options().copy_unstable;
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

bool Receiver::AcceptsMoving(const Entry& wanted, int tries) const {
  if (!shared_->options().copy_unstable) return false;
  return tries > (wanted.size_bytes > kSmallFileBytes ? kRestingTriesLarge : kRestingTries);
}

bool Receiver::MayTryAgain(const FillResult& filled, int tries) const {
  const ReceiveOptions& options = shared_->options();
  // One that is taken as it is may be shorter, or another one, the next moment.
  const int most = options.copy_unstable ? 2 * kMaxContentTries : kMaxContentTries;
  return filled.failure->kind == FailureKind::kChanged && filled.current.has_value() && tries < most &&
         !shared_->stopped() && !options.as_planned;
}

Task<std::optional<TransferFailure>> Receiver::Fill(StagedObject* staged, IncomingFile* file) {
  Driver* driver = shard_->driver();
  if (file->wanted.size_bytes > kInlineWriteBytes) AllowInlineWrites(driver, staged->fd());
  FillResult filled;
  UniqueFd direct;
  if (file->wanted.size_bytes > kSmallFileBytes && file->present_bytes == 0)
    direct = shared_->direct_io().Open(driver, staged->fd(), O_RDWR);
  const DataFile data{staged->fd(), direct.get()};
  for (int tries = 1;; ++tries) {
    file->accept_moving = AcceptsMoving(file->wanted, tries);
    if (file->written != nullptr) file->written->Clear();
    std::optional<FillResult> reused = co_await FillReusing(data, file);
    // Empty again.
    if (!reused.has_value() && file->written != nullptr) file->written->Clear();
    const bool small = !reused.has_value() && file->wanted.size_bytes <= kSmallFileBytes;
    if (reused.has_value()) {
      filled = *std::move(reused);
    } else if (small) {
      filled = co_await FillSmall(data, *file);
    } else {
      filled = co_await FillLarge(data, file);
    }
    const bool without_xattrs = !small || file->wanted.size_bytes == 0;
    if (without_xattrs && !filled.failure.has_value() && file->want_xattrs) {
      filled.xattrs.emplace();
      filled.failure = co_await FetchXattrs(file->path, file->wanted, &*filled.xattrs);
    }
    if (!filled.failure.has_value()) break;
    if (!MayTryAgain(filled, tries)) {
      file->arrived_bytes = filled.arrived_bytes;
      co_return filled.failure;
    }
    shared_->counters().retries.fetch_add(1, std::memory_order_relaxed);
    absl::Status emptied = StartAgain(staged->fd(), *filled.current, file);
    if (!emptied.ok()) co_return WriteFailure(StatusErrno(emptied), "ftruncate");
  }
  // Compared by the second, the source's time may stay what it was through everything that it holds by now.
  const std::optional<uint32_t> window = shared_->options().selection.modify_window_s;
  if (file->accept_moving && window) file->wanted.mtime.seconds -= int64_t{*window} + 1;
  // A clone of a file that grew is longer.
  if (filled.data_end < file->wanted.size_bytes || (file->accept_moving && !file->in_place)) {
    absl::Status sized = TruncateTo(driver, staged->fd(), file->wanted.size_bytes);
    if (!sized.ok()) co_return WriteFailure(StatusErrno(sized), "ftruncate");
  }
  PassKillPoint(KillPoint::kStageFilled);
  if (file->on_state) file->on_state(StagedState::kWhole);
  const Made made{.parent = file->in_place ? nullptr : staged->parent().get(),
                  .replaced_mode = file->replaced_mode,
                  .target = staged->target().get(),
                  .written = true};
  std::optional<TransferFailure> set =
      SetMetadata(staged->handle(), file->wanted, filled.xattrs.has_value() ? &*filled.xattrs : nullptr, made);
  if (set.has_value() && IsOwnerRefused(*set)) {
    file->unset = std::move(set);
    co_return std::nullopt;
  }
  co_return set;
}

}  // namespace uringsync
