// Messages of `uringsync bench`: what an agent measures when it is asked to, and what it found.
//
// A bench session is an open session, source or destination, that is sent RunBench in place of StartManifest and
// actions. One step runs at a time; each is answered by one BenchReport. Needs kBenchFeature. Values; nothing here
// knows protobuf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace uringsync {

constexpr char kBenchFeature[] = "bench";

enum class BenchStep : uint8_t {
  kScan = 1,  // either side: list the tree
  kRead,      // source: read files that the scan saw
  kNetwork,   // source: be ready to send made-up contents; destination: fetch them over the data connections
  kWrite,     // destination: write one large file on each shard
  kMetadata,  // destination: make small files with their metadata, publish them, delete them
  kSync,      // destination: the same with every batch fsynced
};
constexpr BenchStep kLastBenchStep = BenchStep::kSync;

constexpr uint32_t kMaxBenchMilliseconds = 60'000;
constexpr uint64_t kMinBenchBytes = uint64_t{1} << 20;
constexpr uint64_t kMaxBenchBytes = uint64_t{64} << 30;

struct RunBench {
  BenchStep step = BenchStep::kScan;
  uint32_t milliseconds = 2000;              // 1 to kMaxBenchMilliseconds; a step ends soon after
  uint64_t max_bytes = uint64_t{256} << 20;  // that a step may write to disk, kMinBenchBytes to kMaxBenchBytes
};

enum class BenchMetric : uint8_t {
  kScanned = 1,        // count: objects listed with their metadata
  kReadLarge,          // bytes of files of 1 MiB and more, read and hashed
  kReadSmall,          // count, bytes: files of up to 64 KiB, opened, checked, read, hashed
  kRoundTrip,          // count: requests of one byte, one after the other
  kFetched,            // bytes that came over the data connections and passed the check
  kServed,             // the source's part of that since it was asked the last time; only its time and CPU count
  kWritten,            // bytes into the page cache
  kWrittenSynced,      // the same bytes, until they are on disk
  kCreated,            // count: small files made, with metadata, and renamed
  kDeleted,            // count: files removed
  kSyncedFiles,        // count: small files made, fsynced in batches, and renamed
  kSyncedDirectories,  // count: fsyncs of a directory after each such batch
  kFetchedSmall,       // count: requests of 4 KiB, many at once
};
constexpr BenchMetric kLastBenchMetric = BenchMetric::kFetchedSmall;

// One measurement. Counts and bytes are of all shards together, `elapsed_ns` is wall time.
struct BenchFigure {
  BenchMetric metric = BenchMetric::kScanned;
  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t elapsed_ns = 0;
  uint64_t cpu_ns = 0;  // of the whole agent process in that time
  friend bool operator==(const BenchFigure&, const BenchFigure&) = default;
};
constexpr size_t kMaxBenchFigures = 64;

struct BenchReport {
  BenchStep step = BenchStep::kScan;
  uint32_t cores = 1;                  // that the agent may use
  std::vector<BenchFigure> figures{};  // none for what could not be measured
  std::string note{};                  // why something was not measured, a line; empty: everything was
  friend bool operator==(const BenchReport&, const BenchReport&) = default;
};

}  // namespace uringsync
