#include "agent/manifest_sender.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "agent/join_scope.h"
#include "agent/session_filter.h"
#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/tree/view_scanner.h"

namespace uringsync {
namespace {

std::string LeftOutTemporaries(uint64_t count, const RelPath& first) {
  return std::to_string(count) + (count == 1 ? " object has the name" : " objects have names") +
         " of uringsync's temporaries and " + (count == 1 ? "is" : "are") + " left out (" +
         (count == 1 ? "" : "first: ") + first.text() + "); rename what is your own, or leave such names out by a rule";
}

}  // namespace

ManifestSender::ManifestSender(Runtime* runtime, DirectoryPtr root, ScanOptions options, SessionOutbox* outbox)
    : runtime_(runtime), root_(std::move(root)), options_(std::move(options)), outbox_(outbox) {
  options_.cancel = cancel_.token();
}

ManifestSender::~ManifestSender() {
  Stop();
}

absl::Status ManifestSender::Start(const StartManifest& start) {
  if (started_) return absl::FailedPreconditionError("the manifest was started before");
  started_ = true;
  only_ = start.only;
  if (const std::optional<FoldRules>& fold = start.fold) {
    builder_.emplace(DigestRules{.seed = fold->seed,
                                 .selection = options_.selection,
                                 .time_granularity_ns = fold->time_granularity_ns,
                                 .time_range = fold->time_range});
    folding_.store(true, std::memory_order_relaxed);
  }
  running_.SpawnOn(&runtime_->Next(), Run());
  return absl::OkStatus();
}

absl::Status ManifestSender::AddCredit(uint64_t batches) {
  std::lock_guard lock(mutex_);
  credit_ += batches;
  if (credit_ > kMaxManifestCredit)
    return absl::InvalidArgumentError("credit for more batches than anybody could keep");
  WakeIfAdmitted();
  return absl::OkStatus();
}

absl::Status ManifestSender::Judge(const ListingVerdicts& verdicts) {
  std::vector<DirectoryBatch> wanted;
  {
    std::lock_guard lock(mutex_);
    US_ASSIGN_OR_RETURN(wanted, window_.Judge(verdicts));
    WakeIfAdmitted();
  }
  if (verdicts.stop_folding) folding_.store(false, std::memory_order_relaxed);
  // Past the queue's slots: the window bounded them, and the merge waits for them.
  for (DirectoryBatch& batch : wanted) outbox_->Push(std::move(batch));
  return absl::OkStatus();
}

void ManifestSender::Stop() {
  if (stopped_) return;
  stopped_ = true;
  cancel_.Cancel(absl::CancelledError("the session is over"));
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    if (waiter_) waiter_executor_->Post(std::exchange(waiter_, nullptr));
  }
  if (started_) BlockOn(&runtime_->shard(0), JoinScope(&running_));
}

// Under the lock.
bool ManifestSender::TryAdmit() {
  if (next_ != nullptr) {
    if (!window_.HasRoom(next_->entries, next_->wire_bytes)) return false;
    window_.Keep(*std::exchange(next_, nullptr));
    return true;
  }
  if (credit_ == 0) return false;
  --credit_;
  return true;
}

void ManifestSender::WakeIfAdmitted() {
  if (waiter_ && TryAdmit()) waiter_executor_->Post(std::exchange(waiter_, nullptr));
}

bool ManifestSender::AdmissionAwaiter::await_suspend(std::coroutine_handle<> handle) {
  std::lock_guard lock(sender->mutex_);
  sender->next_ = listing;
  if (sender->stopping_ || sender->TryAdmit()) return false;
  sender->waiter_ = handle;
  sender->waiter_executor_ = Executor::Current();
  return true;
}

Task<void> ManifestSender::Run() {
  if (root_ == nullptr) {
    outbox_->Push(ManifestEnd{});
    co_return;
  }
  if (only_) {
    co_await SendOnly();
    co_return;
  }
  std::unique_ptr<ManifestProducer> scanner;
  if (view_ != nullptr) {
    scanner = std::make_unique<ViewScanner>(runtime_, view_, options_);
  } else {
    scanner = ManifestScanner::Start(runtime_, root_, options_);
  }
  co_await Send(scanner.get());
  co_await scanner->Close();
}

Task<void> ManifestSender::Send(ManifestProducer* scanner) {
  while (true) {
    absl::StatusOr<std::optional<DirectoryBatch>> batch = co_await scanner->Next();
    if (options_.cancel.cancelled()) co_return;
    if (!batch.ok()) {
      outbox_->Fail(FilterErrorKind(batch.status()),
                    "the scan failed: " + std::string(ToStd(batch.status().message())));
      co_return;
    }
    if (!batch->has_value()) break;
    co_await SendListing(**std::move(batch));
    if (options_.cancel.cancelled()) co_return;
  }
  co_await Flush();
  PassKillPoint(KillPoint::kScanEnd);
  totals_ = scanner->totals();
  SendEnd();
}

void ManifestSender::NoteDirectories(const RelPath& directory, std::vector<Entry>* entries) {
  for (Entry& entry : *entries) {
    totals_.errors += entry.error != 0 ? 1 : 0;
    if (entry.type != FileType::kDirectory || entry.error != 0) continue;
    const RelPath path = directory.Child(entry.name);
    const auto found = std::lower_bound(only_->begin(), only_->end(), path);
    if (found == only_->end() || *found != path) {
      entry.pruned = true;
    } else {
      listed_[static_cast<size_t>(found - only_->begin())] = true;
    }
  }
  totals_.entries += entries->size();
}

Task<void> ManifestSender::SendOnly() {
  DirectoryLister lister(Shard::Current()->driver(), {.selection = options_.selection,
                                                      .remove_strays_but = options_.remove_strays_but,
                                                      .tell_temporaries = options_.tell_temporaries,
                                                      .spool_directory = options_.spool_directory});
  listed_.assign(only_->size(), false);
  for (size_t i = 0; i < only_->size() && !options_.cancel.cancelled(); ++i) {
    // One that is a directory no longer has no listing: the directory above has told what it is now.
    if (listed_[i] || (*only_)[i].is_root()) co_await SendOne(&lister, i);
  }
  co_await Flush();
  if (options_.cancel.cancelled()) co_return;
  totals_.strays_removed = lister.strays_removed();
  SendEnd();
}

// What is left out for its name is told before the end, so that nobody takes such a file for replicated.
void ManifestSender::SendEnd() {
  if (totals_.temporaries > 0)
    outbox_->Push(Notice{"source: " + LeftOutTemporaries(totals_.temporaries, totals_.first_temporary)});
  const uint64_t strays = options_.tell_temporaries ? totals_.temporaries : strays_removed_ + totals_.strays_removed;
  outbox_->Push(ManifestEnd{totals_.directories, totals_.entries, totals_.errors, strays});
}

void ManifestSender::NoteTemporaries(const RelPath& directory, const std::vector<std::string>& names) {
  if (names.empty()) return;
  if (totals_.temporaries == 0) totals_.first_temporary = directory.Child(*std::ranges::min_element(names));
  totals_.temporaries += names.size();
}

Task<void> ManifestSender::SendOne(DirectoryLister* lister, size_t place) {
  const RelPath& path = (*only_)[place];
  DirectoryBatch batch;
  batch.directory = path;
  batch.self.name = path.name();
  batch.self.type = FileType::kDirectory;
  ++totals_.directories;
  absl::StatusOr<DirectoryPtr> directory =
      OpenBeneath(Shard::Current()->driver(), *root_, path, DirectoryAccess::kReadIfPermitted);
  absl::Status begun = directory.status();
  lister->AtRoot(path.is_root());
  if (begun.ok()) begun = lister->Begin(**directory, &batch.self);
  if (!begun.ok()) {
    ++totals_.errors;
    batch.error = StatusErrno(begun) != 0 ? StatusErrno(begun) : EIO;
    co_await SendListing(std::move(batch));
    co_return;
  }
  NoteTemporaries(path, lister->temporaries());
  // One batch is held back, to be told as the last one.
  const Entry self = batch.self;
  std::vector<Entry> entries;
  bool first = true;
  while (!options_.cancel.cancelled()) {
    co_await Yield{};
    absl::StatusOr<bool> more = lister->Next(ManifestScanner::kBatchEntries, &entries);
    if (!more.ok()) {
      outbox_->Fail(ErrorKind::kFileIo, "the listing failed: " + std::string(ToStd(more.status().message())));
      cancel_.Cancel(more.status());
      co_return;
    }
    batch.last = !*more;
    if (!first || batch.last) co_await SendListing(std::move(batch));
    if (!*more) co_return;
    first = false;
    NoteDirectories(path, &entries);
    batch = DirectoryBatch();
    batch.directory = path;
    batch.self = self;
    batch.entries = std::move(entries);
  }
}

Task<void> ManifestSender::SendListing(DirectoryBatch batch) {
  // What is not all that a directory holds is little.
  if (!builder_ || batch.partial) {
    co_await SendPlain(std::move(batch));
    co_return;
  }
  ListingBuilder::Output output = builder_->Add(std::move(batch), folding_.load(std::memory_order_relaxed));
  for (DirectoryBatch& plain : output.plain) co_await SendPlain(std::move(plain));
  if (!output.folded) co_return;
  DirectoryBatch message = std::move(output.folded->message);
  const size_t bytes = output.folded->message_bytes;
  // Nobody judges what was not sent.
  if (group_bytes_ + bytes > kGroupBytes || !HasRoom(*output.folded)) co_await Flush();
  co_await AdmissionAwaiter{this, &*output.folded};
  const auto now = std::chrono::steady_clock::now();
  if (group_.batches.empty()) group_since_ = now;
  group_.batches.push_back(std::move(message));
  group_bytes_ += bytes;
  if (group_.batches.size() >= kGroupListings || now - group_since_ >= kGroupTime) co_await Flush();
}

bool ManifestSender::HasRoom(const FoldedListing& listing) {
  std::lock_guard lock(mutex_);
  return window_.HasRoom(listing.entries, listing.wire_bytes);
}

Task<void> ManifestSender::Flush() {
  if (group_.batches.empty()) co_return;
  FoldedGroup group = std::exchange(group_, FoldedGroup());
  group_bytes_ = 0;
  co_await PushInSlot(std::move(group));
}

Task<void> ManifestSender::SendPlain(DirectoryBatch batch) {
  co_await Flush();
  std::vector<DirectoryBatch> parts = SplitForWire(std::move(batch));
  for (DirectoryBatch& part : parts) {
    if (options_.cancel.cancelled()) co_return;
    co_await AdmissionAwaiter{this, nullptr};
    co_await PushInSlot(std::move(part));
  }
}

Task<void> ManifestSender::PushInSlot(AgentMessage message) {
  SemaphoreUnits slot = co_await outbox_->manifest_slots()->Acquire(1);
  if (options_.cancel.cancelled()) co_return;
  outbox_->PushManifest(std::move(message), std::move(slot));
}

}  // namespace uringsync
