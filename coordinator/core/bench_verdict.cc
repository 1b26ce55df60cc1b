#include "coordinator/core/bench_verdict.h"

#include <algorithm>

namespace uringsync {
namespace {

// From here on the processor is what a step waits for.
constexpr double kCpuBound = 0.75;
// A round trip from here on makes a connection's window the limit before its capacity is.
constexpr double kLongRoundTripSeconds = 0.005;

struct Parts {
  std::vector<const BenchRate*> used;
  bool complete = true;
};

const BenchRate* Find(const std::vector<BenchRate>& rates, Side side, BenchMetric metric) {
  const auto found = std::ranges::find_if(
      rates, [&](const BenchRate& rate) { return rate.side == side && rate.figure.metric == metric; });
  return found == rates.end() ? nullptr : &*found;
}

void Need(Parts* parts, const BenchRate* rate) {
  if (rate == nullptr) {
    parts->complete = false;
  } else {
    parts->used.push_back(rate);
  }
}

const BenchRate* FirstOf(const BenchRate* preferred, const BenchRate* other) {
  return preferred != nullptr ? preferred : other;
}

Parts PartsOf(BenchWorkload workload, const std::vector<BenchRate>& rates, bool one_agent) {
  using enum BenchMetric;
  Parts parts;
  switch (workload) {
    case BenchWorkload::kLargeFiles:
      Need(&parts, Find(rates, Side::kSource, kReadLarge));
      if (!one_agent) Need(&parts, Find(rates, Side::kDestination, kFetched));
      Need(&parts, FirstOf(Find(rates, Side::kDestination, kWrittenSynced), Find(rates, Side::kDestination, kWritten)));
      break;
    case BenchWorkload::kSmallFiles:
      Need(&parts, Find(rates, Side::kSource, kScanned));
      Need(&parts, Find(rates, Side::kSource, kReadSmall));
      if (!one_agent) Need(&parts, Find(rates, Side::kDestination, kFetchedSmall));
      Need(&parts, FirstOf(Find(rates, Side::kDestination, kSyncedFiles), Find(rates, Side::kDestination, kCreated)));
      break;
    case BenchWorkload::kNothingToDo:
      Need(&parts, Find(rates, Side::kSource, kScanned));
      // A destination with nothing in it has no rate of its own; it takes no time either.
      if (const BenchRate* scan = Find(rates, Side::kDestination, kScanned)) parts.used.push_back(scan);
      break;
  }
  return parts;
}

double SpeedOf(BenchWorkload workload, const BenchRate& rate) {
  return workload == BenchWorkload::kLargeFiles ? rate.bytes_per_second : rate.count_per_second;
}

std::string Host(Side side) {
  return side == Side::kSource ? "the source's" : "the destination's";
}

std::string NetworkAdvice(const std::vector<BenchRate>& rates, bool cpu_bound) {
  if (cpu_bound)
    return "Encrypting and checking take the processor: give the agents more cores, or run fewer things beside them.";
  const BenchRate* trip = Find(rates, Side::kDestination, BenchMetric::kRoundTrip);
  const double seconds = trip == nullptr ? 0 : 1 / std::max(trip->count_per_second, 1e-9);
  if (seconds > kLongRoundTripSeconds)
    return "The round trip is long: try more data connections (--connections), and look at the limits of the hosts' "
           "TCP windows "
           "(net.ipv4.tcp_rmem, tcp_wmem).";
  return "The network carries no more: a faster link helps, or -z where contents compress.";
}

std::string AdviceFor(const BenchRate& slowest, const std::vector<BenchRate>& rates, bool cpu_bound) {
  using enum BenchMetric;
  const std::string host = Host(slowest.side);
  switch (slowest.figure.metric) {
    case kFetched:
    case kFetchedSmall: return NetworkAdvice(rates, cpu_bound);
    case kScanned:
      if (cpu_bound)
        return "Listing takes " + host + " processor: more cores make it faster (--jobs, or the agent's own setting).";
      return "Inodes are read from " + host +
             " storage: more memory keeps them cached, and a second run shows whether it does.";
    case kReadLarge:
    case kReadSmall:
      if (cpu_bound) return "Reading takes " + host + " processor: more cores make it faster.";
      return "The source's storage delivers no more: faster disks, or fewer readers beside this run, help.";
    case kWrittenSynced:
    case kSyncedFiles:
      return "The destination's storage takes this long until data is safe: --durability none leaves that out, but a "
             "power cut may then "
             "lose what a finished run wrote.";
    default:
      if (cpu_bound) return "Writing takes " + host + " processor: more cores make it faster.";
      return "The destination's storage takes no more.";
  }
}

}  // namespace

std::vector<BenchRate> RatesOf(const BenchOutcome& outcome) {
  std::vector<BenchRate> rates;
  for (const MeasuredStep& step : outcome.steps) {
    for (const BenchFigure& figure : step.report.figures) {
      if (figure.elapsed_ns == 0) continue;
      const double seconds = static_cast<double>(figure.elapsed_ns) / 1e9;
      const double cores = std::max<double>(1, step.report.cores);
      rates.push_back({.side = step.side,
                       .figure = figure,
                       .count_per_second = static_cast<double>(figure.count) / seconds,
                       .bytes_per_second = static_cast<double>(figure.bytes) / seconds,
                       .cpu_share = std::min(1.0, static_cast<double>(figure.cpu_ns) / 1e9 / seconds / cores)});
    }
  }
  return rates;
}

std::vector<BenchVerdict> JudgeBenchmark(const BenchOutcome& outcome) {
  const std::vector<BenchRate> rates = RatesOf(outcome);
  const BenchRate* served = Find(rates, Side::kSource, BenchMetric::kServed);
  std::vector<BenchVerdict> verdicts;
  for (const BenchWorkload workload :
       {BenchWorkload::kLargeFiles, BenchWorkload::kSmallFiles, BenchWorkload::kNothingToDo}) {
    const Parts parts = PartsOf(workload, rates, outcome.one_agent);
    if (!parts.complete) continue;
    const auto slower = [workload](const BenchRate* a, const BenchRate* b) {
      return SpeedOf(workload, *a) < SpeedOf(workload, *b);
    };
    const BenchRate& slowest = **std::ranges::min_element(parts.used, slower);
    const bool network =
        slowest.figure.metric == BenchMetric::kFetched || slowest.figure.metric == BenchMetric::kFetchedSmall;
    BenchVerdict verdict{.workload = workload,
                         .expected = SpeedOf(workload, slowest),
                         .side = slowest.side,
                         .bottleneck = slowest.figure.metric,
                         .advice = {}};
    verdict.cpu_bound =
        slowest.cpu_share >= kCpuBound || (network && served != nullptr && served->cpu_share >= kCpuBound);
    if (network) verdict.side = Side::kCoordinator;
    // In one agent the parts take turns on the same cores: their times add up as far as they are processor time.
    if (outcome.one_agent) {
      double seconds = 0;
      for (const BenchRate* rate : parts.used) seconds += rate->cpu_share / std::max(SpeedOf(workload, *rate), 1e-9);
      if (seconds > 0) verdict.expected = std::min(verdict.expected, 1 / seconds);
    }
    verdict.advice = AdviceFor(slowest, rates, verdict.cpu_bound);
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

const char* BenchWorkloadName(BenchWorkload workload) {
  switch (workload) {
    case BenchWorkload::kLargeFiles: return "large files";
    case BenchWorkload::kSmallFiles: return "small files";
    case BenchWorkload::kNothingToDo: break;
  }
  return "nothing to do";
}

const char* BenchMetricName(BenchMetric metric) {
  switch (metric) {
    case BenchMetric::kScanned: return "list objects";
    case BenchMetric::kReadLarge: return "read large files";
    case BenchMetric::kReadSmall: return "read small files";
    case BenchMetric::kRoundTrip: return "round trip";
    case BenchMetric::kFetched: return "move contents";
    case BenchMetric::kServed: return "serve contents";
    case BenchMetric::kWritten: return "write a large file";
    case BenchMetric::kWrittenSynced: return "write it and fsync";
    case BenchMetric::kCreated: return "make small files";
    case BenchMetric::kDeleted: return "delete files";
    case BenchMetric::kSyncedFiles: return "make and fsync small files";
    case BenchMetric::kSyncedDirectories: return "fsync a directory";
    case BenchMetric::kFetchedSmall: break;
  }
  return "move small files";
}

const char* BenchMetricKey(BenchMetric metric) {
  switch (metric) {
    case BenchMetric::kScanned: return "scanned";
    case BenchMetric::kReadLarge: return "read_large";
    case BenchMetric::kReadSmall: return "read_small";
    case BenchMetric::kRoundTrip: return "round_trip";
    case BenchMetric::kFetched: return "fetched";
    case BenchMetric::kServed: return "served";
    case BenchMetric::kWritten: return "written";
    case BenchMetric::kWrittenSynced: return "written_synced";
    case BenchMetric::kCreated: return "created";
    case BenchMetric::kDeleted: return "deleted";
    case BenchMetric::kSyncedFiles: return "synced_files";
    case BenchMetric::kSyncedDirectories: return "synced_directories";
    case BenchMetric::kFetchedSmall: break;
  }
  return "fetched_small";
}

const char* BenchStepName(BenchStep step) {
  switch (step) {
    case BenchStep::kScan: return "scan";
    case BenchStep::kRead: return "read";
    case BenchStep::kNetwork: return "network";
    case BenchStep::kWrite: return "write";
    case BenchStep::kMetadata: return "metadata";
    case BenchStep::kSync: break;
  }
  return "sync";
}

}  // namespace uringsync
