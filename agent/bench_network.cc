#include "agent/bench_network.h"

#include <atomic>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/transfer/receiver.h"
#include "engine/transfer/remote_source.h"

namespace uringsync {
namespace {

constexpr uint64_t kRoundTrips = 200;
constexpr uint64_t kSmallRequestBytes = 4096;
// Small requests of one shard that are under way at once, as in a sync of small files.
constexpr size_t kSmallWorkers = kRemoteConcurrency;
// Contents are endless; offsets move on so that nothing is asked for twice.
constexpr uint64_t kEndlessBytes = uint64_t{1} << 50;

class CheckingSink final : public ReplySink {
 public:
  explicit CheckingSink(uint64_t seed) : seed_(seed) {}
  Task<absl::Status> OnItem(ReplyItem item, Piece piece) override {
    if (item.status != ReplyStatus::kOk) co_return ErrnoStatus(item.error, item.operation);
    if (Xxh128(piece.bytes(), seed_) != item.digest) co_return absl::DataLossError("a piece does not match its digest");
    bytes += piece.size();
    co_return absl::OkStatus();
  }
  uint64_t bytes = 0;

 private:
  const uint64_t seed_;
};

// Requests of one size by all shards for a share of the step's time.
struct Pass {
  const BenchStepContext* step;
  const std::vector<ContentSource*>* sources;
  uint64_t length;
  size_t workers;  // of a shard
  double share;
  BenchMeter meter{};
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> count{0};
  std::atomic<uint64_t> bytes{0};
  std::atomic<bool> failed{false};

  bool over() const { return failed || step->Over(meter.start(), share); }
};

FileRequest RequestAt(uint64_t offset, uint64_t length) {
  FileRequest request;
  request.path = RelPath().Child("generated");
  request.size_bytes = kEndlessBytes;
  request.offset = offset % (kEndlessBytes / 2);
  request.length = length;
  return request;
}

Task<void> FetchLoop(Pass* pass, ContentSource* source) {
  while (!pass->over()) {
    CheckingSink sink(pass->step->subject.digest_seed);
    const absl::Status fetched =
        co_await source->Fetch(RequestAt(pass->next.fetch_add(pass->length), pass->length), &sink);
    if (!fetched.ok()) {
      pass->failed = true;
      co_return;
    }
    pass->count.fetch_add(1);
    pass->bytes.fetch_add(sink.bytes);
  }
}

Task<void> FetchOnShard(Pass* pass, size_t shard) {
  Scope workers;
  for (size_t i = 0; i < pass->workers; ++i) workers.Spawn(FetchLoop(pass, (*pass->sources)[shard]));
  co_await workers.Join();
}

Task<void> RunPass(Pass* pass) {
  const std::function<Task<void>(size_t)> work = [pass](size_t shard) { return FetchOnShard(pass, shard); };
  co_await OnEveryShard(&pass->step->subject, &work);
}

// The first one pays for connecting and is not counted.
Task<absl::Status> RoundTrips(const BenchStepContext* step, ContentSource* source, BenchReport* report) {
  CheckingSink sink(step->subject.digest_seed);
  US_CO_RETURN_IF_ERROR(co_await source->Fetch(RequestAt(0, 1), &sink));
  const BenchMeter meter;
  uint64_t count = 0;
  do {
    US_CO_RETURN_IF_ERROR(co_await source->Fetch(RequestAt(0, 1), &sink));
    ++count;
  } while (count < kRoundTrips && !step->Over(meter.start(), 0.25));
  report->figures.push_back(meter.Figure(BenchMetric::kRoundTrip, count, count));
  co_return absl::OkStatus();
}

}  // namespace

Task<absl::Status> FetchGenerated(const BenchStepContext* step, const std::vector<ContentSource*>* sources,
                                  BenchReport* report) {
  US_CO_RETURN_IF_ERROR(co_await RoundTrips(step, sources->front(), report));
  Pass large{.step = step, .sources = sources, .length = kRangeBytes, .workers = kRangeWorkersPerShard, .share = 0.5};
  co_await RunPass(&large);
  if (large.bytes > 0) report->figures.push_back(large.meter.Figure(BenchMetric::kFetched, large.count, large.bytes));
  Pass small{.step = step, .sources = sources, .length = kSmallRequestBytes, .workers = kSmallWorkers, .share = 0.25};
  if (!large.failed) co_await RunPass(&small);
  if (small.count > 0)
    report->figures.push_back(small.meter.Figure(BenchMetric::kFetchedSmall, small.count, small.bytes));
  if (large.failed || small.failed) co_return absl::UnavailableError("a data connection broke while it was measured");
  co_return absl::OkStatus();
}

}  // namespace uringsync
