#include "agent/bench_source.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <utility>

#include "agent/backoff.h"
#include "engine/base/errno_status.h"
#include "engine/fs/state_name.h"
#include "engine/transfer/receiver.h"
#include "engine/transfer/source_reader.h"
#include "engine/tree/scanner.h"

namespace uringsync {
namespace {

Task<void> CancelLater(std::chrono::nanoseconds time, CancelToken done, CancelSource* stop) {
  static_cast<void>(co_await SleepUnlessCancelled(Shard::Current()->driver(), time, std::move(done)));
  stop->Cancel(absl::DeadlineExceededError("the time for this step is over"));
}

// Every file that was seen has the same chance to be among the small ones.
class Sampler {
 public:
  explicit Sampler(BenchSamples* samples) : samples_(samples) { *samples_ = {}; }

  void See(const RelPath& directory, const Entry& entry) {
    if (entry.type != FileType::kRegular || entry.error != 0) return;
    if (entry.size_bytes >= BenchSamples::kLargeBytes) {
      if (samples_->large.size() < BenchSamples::kMaxLarge) samples_->large.push_back(FileOf(directory, entry));
    } else if (entry.size_bytes > 0 && entry.size_bytes <= BenchSamples::kSmallBytes) {
      ++seen_;
      if (samples_->small.size() < BenchSamples::kMaxSmall) {
        samples_->small.push_back(FileOf(directory, entry));
      } else if (const uint64_t place = random_() % seen_; place < BenchSamples::kMaxSmall) {
        samples_->small[place] = FileOf(directory, entry);
      }
    }
  }
  // Files of one directory are read together, as a sync would.
  void Finish() {
    std::ranges::sort(samples_->small, [](const BenchFile& a, const BenchFile& b) { return a.path < b.path; });
  }

 private:
  static BenchFile FileOf(const RelPath& directory, const Entry& entry) {
    return {directory.Child(entry.name), entry.id, entry.size_bytes, entry.mtime};
  }
  BenchSamples* const samples_;
  uint64_t seen_ = 0;
  std::mt19937_64 random_{1};
};

// Counts what a reader hands over and lets it go.
class CountingSink final : public ReplySink {
 public:
  Task<absl::Status> OnItem(ReplyItem item, Piece) override {
    bytes += item.data_length;
    failed = failed || item.status != ReplyStatus::kOk;
    co_return absl::OkStatus();
  }
  uint64_t bytes = 0;
  bool failed = false;
};

struct Range {
  const BenchFile* file;
  uint64_t offset;
  uint64_t length;
};

std::vector<Range> RangesOf(const std::vector<BenchFile>& files) {
  constexpr size_t kMaxRanges = 1 << 16;
  std::vector<Range> ranges;
  for (const BenchFile& file : files) {
    for (uint64_t at = 0; at < file.size_bytes && ranges.size() < kMaxRanges; at += kRangeBytes)
      ranges.push_back({&file, at, std::min(kRangeBytes, file.size_bytes - at)});
  }
  return ranges;
}

// One pass over `ranges` by all shards.
struct ReadPass {
  const BenchStepContext* step;
  const std::vector<Range>* ranges;
  size_t workers;  // of a shard
  BenchMeter meter;
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> files{0};
  std::atomic<uint64_t> bytes{0};

  bool over() const { return step->Over(meter.start(), 0.5); }
};

FileRequest RequestFor(const Range& range) {
  FileRequest request;
  request.path = range.file->path;
  request.file = range.file->id;
  request.size_bytes = range.file->size_bytes;
  request.mtime = range.file->mtime;
  request.offset = range.offset;
  request.length = range.length;
  return request;
}

Task<void> ReadRanges(ReadPass* pass, SourceReader* reader) {
  while (!pass->over()) {
    const size_t place = pass->next.fetch_add(1);
    if (place >= pass->ranges->size()) co_return;
    CountingSink sink;
    // A file that is gone or changed by now counts for nothing.
    static_cast<void>(co_await reader->Serve(RequestFor((*pass->ranges)[place]), &sink));
    pass->bytes.fetch_add(sink.bytes);
    if (!sink.failed) pass->files.fetch_add(1);
  }
}

Task<void> ReadOnShard(ReadPass* pass) {
  Shard* shard = Shard::Current();
  SourceReaderOptions options;
  options.digest_seed = pass->step->subject.digest_seed;
  options.selection = pass->step->subject.selection;
  SourceReader reader(shard->driver(), shard->buffers(), pass->step->subject.root, std::move(options));
  Scope workers;
  for (size_t i = 0; i < pass->workers; ++i) workers.Spawn(ReadRanges(pass, &reader));
  co_await workers.Join();
}

Task<void> ReadAll(const BenchStepContext* step, const std::vector<BenchFile>* files, size_t workers,
                   BenchMetric metric, BenchReport* report) {
  const std::vector<Range> ranges = RangesOf(*files);
  ReadPass pass{.step = step, .ranges = &ranges, .workers = workers, .meter = {}};
  const std::function<Task<void>(size_t)> work = [&pass](size_t) { return ReadOnShard(&pass); };
  co_await OnEveryShard(&step->subject, &work);
  if (pass.files > 0) report->figures.push_back(pass.meter.Figure(metric, pass.files, pass.bytes));
}

}  // namespace

Task<absl::Status> ScanTree(const BenchStepContext* step, BenchSamples* samples, BenchReport* report) {
  CancelSource stop;
  CancelSource done;
  const CancelToken::Registration cancelled =
      step->cancel.OnCancel([stop]() mutable { stop.Cancel(absl::CancelledError("the session is over")); });
  Scope timer;
  timer.Spawn(CancelLater(step->time(), done.token(), &stop));
  ScanOptions options;
  options.selection = step->subject.selection;
  options.cancel = stop.token();
  options.shards = step->subject.shards;
  if (step->subject.role == Role::kDestination) options.remove_strays_but = SessionTag(step->subject.session);
  const BenchMeter meter;
  Sampler sampler(samples);
  uint64_t entries = 0;
  absl::Status failure;
  std::unique_ptr<ManifestScanner> scanner =
      ManifestScanner::Start(step->subject.runtime, step->subject.root, std::move(options));
  while (!step->Over(meter.start(), 1)) {
    absl::StatusOr<std::optional<DirectoryBatch>> batch = co_await scanner->Next();
    if (!batch.ok() && !stop.token().cancelled()) failure = batch.status();
    if (!batch.ok() || !batch->has_value()) break;
    entries += (*batch)->entries.size();
    for (const Entry& entry : (*batch)->entries) sampler.See((*batch)->directory, entry);
  }
  const BenchFigure figure = meter.Figure(BenchMetric::kScanned, entries, 0);
  co_await scanner->Close();
  done.Cancel(absl::OkStatus());
  co_await timer.Join();
  sampler.Finish();
  if (entries > 0) {
    report->figures.push_back(figure);
  } else if (failure.ok()) {
    report->note = "the tree is empty: nothing to list";
  }
  co_return failure;
}

Task<absl::Status> ReadFiles(const BenchStepContext* step, const BenchSamples* samples, BenchReport* report) {
  co_await ReadAll(step, &samples->large, kRangeWorkersPerShard, BenchMetric::kReadLarge, report);
  co_await ReadAll(step, &samples->small, kLocalConcurrency, BenchMetric::kReadSmall, report);
  if (samples->large.empty() && samples->small.empty()) {
    report->note = "no file to read was seen";
  } else if (samples->large.empty()) {
    report->note = "no file of 1 MiB or more was seen: reading large files was not measured";
  } else if (samples->small.empty()) {
    report->note = "no file of 1 byte to 64 KiB was seen: reading small files was not measured";
  }
  co_return absl::OkStatus();
}

}  // namespace uringsync
