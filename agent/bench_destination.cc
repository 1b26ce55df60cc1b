#include "agent/bench_destination.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "agent/bench_scratch.h"
#include "engine/base/errno_status.h"
#include "engine/fs/atomic_file.h"
#include "engine/fs/file.h"
#include "engine/fs/metadata.h"
#include "engine/fs/process_capabilities.h"
#include "engine/fs/syscalls.h"
#include "engine/transfer/generated_content.h"
#include "engine/transfer/receiver.h"

namespace uringsync {
namespace {

// Small files of one batch that are fsynced together; the engine's own batches are about as large.
constexpr size_t kBatchFiles = 64;
// Removals between two looks at the clock of other coroutines.
constexpr uint64_t kFilesAtOnce = 16;

// Work of all shards towards one figure. The first failure ends it.
struct Tally {
  const BenchStepContext* step;
  BenchScratch* scratch;
  std::atomic<uint64_t> count{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<bool> failed{false};
  std::mutex mutex{};
  absl::Status failure{};

  void Fail(absl::Status status) {
    std::lock_guard lock(mutex);
    if (failure.ok()) failure = std::move(status);
    failed = true;
  }
};

// ---- large files

struct LargeWrite {
  Tally* tally;
  int fd;
  uint64_t limit;
  std::chrono::steady_clock::time_point start;
  uint64_t next = 0;  // offset nobody writes yet; all writers are on one shard
};

Task<void> WritePieces(LargeWrite* file) {
  Shard* shard = Shard::Current();
  Buffer buffer = co_await shard->buffers()->Get();
  const size_t piece = std::min<size_t>(buffer.size(), kPieceBytes);
  FillIncompressible(buffer.span().first(piece), 1 + file->next);
  while (file->next + piece <= file->limit && !file->tally->failed && !file->tally->step->Over(file->start, 1)) {
    const uint64_t offset = std::exchange(file->next, file->next + piece);
    absl::Status written =
        co_await WriteAtFull(shard->driver(), file->fd, buffer.data(), piece, offset, buffer.registered_index());
    if (!written.ok()) {
      file->tally->Fail(WithContext(std::move(written), "write"));
      co_return;
    }
    file->tally->bytes.fetch_add(piece);
  }
}

Task<void> WriteOneLarge(Tally* tally, int fd, uint64_t limit, std::chrono::steady_clock::time_point start) {
  Driver* driver = Shard::Current()->driver();
  AllowInlineWrites(driver, fd);
  absl::Status allocated = co_await Preallocate(driver, fd, limit);
  if (!allocated.ok()) {
    tally->Fail(WithContext(std::move(allocated), "fallocate"));
    co_return;
  }
  LargeWrite file{.tally = tally, .fd = fd, .limit = limit, .start = start};
  Scope writers;
  for (size_t i = 0; i < kRangeWorkersPerShard; ++i) writers.Spawn(WritePieces(&file));
  co_await writers.Join();
}

Task<void> SyncOne(Tally* tally, int fd) {
  absl::Status synced = co_await SyncFile(Shard::Current()->driver(), fd);
  if (!synced.ok()) tally->Fail(WithContext(std::move(synced), "fsync"));
}

// ---- small files

// One shard's part of a step that makes small files.
struct SmallFiles {
  Tally* tally;
  DirectoryPtr directory;
  uint64_t limit;
  std::chrono::steady_clock::time_point start;
  uint64_t made = 0;
};

std::string NameOf(uint64_t number) {
  return "file-" + std::to_string(number);
}

// What a sync does for a file of one page, short of fsync and rename.
Task<absl::StatusOr<StagedObject>> Stage(SmallFiles* files, XattrAccess* xattrs,
                                         const ProcessCapabilities* capabilities, std::span<const std::byte> contents) {
  Driver* driver = Shard::Current()->driver();
  US_CO_ASSIGN_OR_RETURN(StagedObject staged,
                         StagedObject::CreateFile(driver, files->directory, files->tally->scratch->namer()));
  US_CO_RETURN_IF_ERROR(co_await WriteAtFull(driver, staged.fd(), contents.data(), contents.size(), 0));
  Entry wanted;
  wanted.mode = 0644;
  wanted.uid = capabilities->uid;
  wanted.gid = capabilities->groups.empty() ? ::getegid() : capabilities->groups.front();
  wanted.size_bytes = contents.size();
  wanted.mtime = {1'000'000'000, 0};
  MetadataRequest request;
  request.wanted = &wanted;
  request.selection = &files->tally->step->subject.selection;
  request.capabilities = capabilities;
  request.fresh = true;
  MetadataCounters counters;
  US_CO_RETURN_IF_ERROR(ApplyMetadata(xattrs, staged.handle(), request, &counters));
  co_return staged;
}

Task<void> MakeOnShard(SmallFiles* files) {
  Driver* driver = Shard::Current()->driver();
  XattrAccess xattrs(driver);
  const ProcessCapabilities capabilities = ReadProcessCapabilities();
  std::array<std::byte, kBenchFileBytes> contents;
  FillIncompressible(contents, 1);
  while (files->made < files->limit && !files->tally->failed && !files->tally->step->Over(files->start, 0.5)) {
    absl::StatusOr<StagedObject> staged = co_await Stage(files, &xattrs, &capabilities, contents);
    absl::Status status = staged.status();
    if (status.ok()) status = staged->Publish(NameOf(files->made).c_str(), std::nullopt);
    if (!status.ok()) {
      files->tally->Fail(std::move(status));
      co_return;
    }
    files->tally->count.fetch_add(1);
    if (++files->made % kFilesAtOnce == 0) co_await Yield{};
  }
}

Task<void> DeleteOnShard(SmallFiles* files) {
  Driver* driver = Shard::Current()->driver();
  for (uint64_t i = 0; i < files->made && !files->tally->failed; ++i) {
    const int removed = sys::Unlinkat(driver, files->directory->fd(), NameOf(i).c_str(), 0);
    if (removed < 0) {
      files->tally->Fail(ErrnoStatus(-removed, "unlink"));
      co_return;
    }
    if (i % kFilesAtOnce == 0) co_await Yield{};
  }
}

// fsyncs of directories, of all shards.
struct DirectorySyncs {
  std::atomic<uint64_t> count{0};
  std::atomic<uint64_t> elapsed_ns{0};
};

Task<void> SyncBatch(SmallFiles* files, std::vector<StagedObject>* batch, DirectorySyncs* directories) {
  Tally* tally = files->tally;
  Scope syncs;
  for (StagedObject& staged : *batch) syncs.Spawn(SyncOne(tally, staged.fd()));
  co_await syncs.Join();
  if (tally->failed) co_return;
  for (StagedObject& staged : *batch) {
    absl::Status published = staged.Publish(NameOf(files->made++).c_str(), std::nullopt);
    if (!published.ok()) {
      tally->Fail(std::move(published));
      co_return;
    }
  }
  const BenchMeter meter;
  co_await SyncOne(tally, files->directory->fd());
  directories->elapsed_ns.fetch_add(meter.Figure(BenchMetric::kSyncedDirectories, 1, 0).elapsed_ns);
  directories->count.fetch_add(1);
  tally->count.fetch_add(batch->size());
}

Task<void> SyncOnShard(SmallFiles* files, DirectorySyncs* directories) {
  Driver* driver = Shard::Current()->driver();
  XattrAccess xattrs(driver);
  const ProcessCapabilities capabilities = ReadProcessCapabilities();
  std::array<std::byte, kBenchFileBytes> contents;
  FillIncompressible(contents, 1);
  Tally* tally = files->tally;
  while (files->made + kBatchFiles <= files->limit && !tally->failed && !tally->step->Over(files->start, 1)) {
    std::vector<StagedObject> batch;
    while (batch.size() < kBatchFiles && !tally->failed) {
      absl::StatusOr<StagedObject> staged = co_await Stage(files, &xattrs, &capabilities, contents);
      if (!staged.ok()) {
        tally->Fail(staged.status());
        co_return;
      }
      batch.push_back(*std::move(staged));
    }
    co_await SyncBatch(files, &batch, directories);
  }
}

std::vector<SmallFiles> OnePerShard(Tally* tally, uint64_t bytes, std::chrono::steady_clock::time_point start) {
  const size_t shards = tally->step->subject.shards;
  const uint64_t limit = std::min(kMaxBenchFiles, bytes / kBenchFileBytes) / shards;
  std::vector<SmallFiles> all;
  for (size_t i = 0; i < shards; ++i)
    all.push_back({.tally = tally, .directory = tally->scratch->directory(i), .limit = limit, .start = start});
  return all;
}

}  // namespace

Task<absl::Status> WriteLarge(const BenchStepContext* step, BenchReport* report) {
  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<BenchScratch> scratch, BenchScratch::Make(step->subject));
  US_CO_ASSIGN_OR_RETURN(const uint64_t limit, scratch->ByteLimit(step->ask.max_bytes));
  const size_t shards = step->subject.shards;
  std::vector<UniqueFd> files;
  for (size_t i = 0; i < shards; ++i) {
    const int fd = sys::Openat(Shard::Current()->driver(), scratch->directory(i)->fd(), "large",
                               O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    US_CO_RETURN_IF_ERROR(sys::SysStatus(fd, "create"));
    files.emplace_back(fd);
  }
  Tally tally{.step = step, .scratch = scratch.get()};
  const BenchMeter meter;
  const std::function<Task<void>(size_t)> write = [&](size_t i) {
    return WriteOneLarge(&tally, files[i].get(), limit / shards, meter.start());
  };
  co_await OnEveryShard(&step->subject, &write);
  if (tally.bytes > 0) report->figures.push_back(meter.Figure(BenchMetric::kWritten, shards, tally.bytes));
  if (step->subject.volatile_file_system || tally.failed || step->cancel.cancelled()) co_return tally.failure;
  const std::function<Task<void>(size_t)> sync = [&](size_t i) { return SyncOne(&tally, files[i].get()); };
  co_await OnEveryShard(&step->subject, &sync);
  if (!tally.failed) report->figures.push_back(meter.Figure(BenchMetric::kWrittenSynced, shards, tally.bytes));
  co_return tally.failure;
}

Task<absl::Status> MakeSmall(const BenchStepContext* step, BenchReport* report) {
  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<BenchScratch> scratch, BenchScratch::Make(step->subject));
  US_CO_ASSIGN_OR_RETURN(const uint64_t bytes, scratch->ByteLimit(step->ask.max_bytes));
  Tally tally{.step = step, .scratch = scratch.get()};
  const BenchMeter making;
  std::vector<SmallFiles> all = OnePerShard(&tally, bytes, making.start());
  const std::function<Task<void>(size_t)> make = [&](size_t i) { return MakeOnShard(&all[i]); };
  co_await OnEveryShard(&step->subject, &make);
  const uint64_t made = tally.count;
  if (made > 0) report->figures.push_back(making.Figure(BenchMetric::kCreated, made, made * kBenchFileBytes));
  if (tally.failed || step->cancel.cancelled()) co_return tally.failure;
  const BenchMeter deleting;
  const std::function<Task<void>(size_t)> remove = [&](size_t i) { return DeleteOnShard(&all[i]); };
  co_await OnEveryShard(&step->subject, &remove);
  if (!tally.failed && made > 0) report->figures.push_back(deleting.Figure(BenchMetric::kDeleted, made, 0));
  co_return tally.failure;
}

Task<absl::Status> SyncSmall(const BenchStepContext* step, BenchReport* report) {
  if (step->subject.volatile_file_system) {
    report->note = "the destination's file system is in memory: there is nothing to fsync";
    co_return absl::OkStatus();
  }
  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<BenchScratch> scratch, BenchScratch::Make(step->subject));
  US_CO_ASSIGN_OR_RETURN(const uint64_t bytes, scratch->ByteLimit(step->ask.max_bytes));
  Tally tally{.step = step, .scratch = scratch.get()};
  DirectorySyncs directories;
  const BenchMeter meter;
  std::vector<SmallFiles> all = OnePerShard(&tally, bytes, meter.start());
  const std::function<Task<void>(size_t)> work = [&](size_t i) { return SyncOnShard(&all[i], &directories); };
  co_await OnEveryShard(&step->subject, &work);
  const uint64_t count = tally.count;
  if (count == 0) co_return tally.failure;
  report->figures.push_back(meter.Figure(BenchMetric::kSyncedFiles, count, count * kBenchFileBytes));
  report->figures.push_back(
      {.metric = BenchMetric::kSyncedDirectories, .count = directories.count, .elapsed_ns = directories.elapsed_ns});
  co_return tally.failure;
}

}  // namespace uringsync
