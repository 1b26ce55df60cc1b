// Totals of a run in rsync's tables: --stats and the closing lines.
//
// Thread rule: functions and values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/core/planner.h"
#include "engine/base/entry.h"
#include "proto/messages.h"

namespace uringsync {

// Objects by rsync's five kinds.
struct KindCounts {
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t symlinks = 0;
  uint64_t devices = 0;
  uint64_t specials = 0;
  void Add(FileType type);
  uint64_t sum() const { return files + directories + symlinks + devices + specials; }
};

struct RsyncTotals {
  KindCounts source;
  KindCounts created;
  KindCounts deleted;
  uint64_t transferred_files = 0;
  uint64_t transferred_bytes = 0;  // their sizes
  uint64_t total_bytes = 0;        // of all files and symlinks of the source
  uint64_t literal_bytes = 0;
  uint64_t matched_bytes = 0;
  uint64_t sent_bytes = 0;
  uint64_t received_bytes = 0;
  std::chrono::nanoseconds listing{0};   // until all of the source was known
  std::chrono::nanoseconds duration{0};  // all of it
  bool dry_run = false;
};

// What a plan counted of the source.
KindCounts SourceKinds(const PlanCounters& plan);
// "Number of files: 8 (reg: 4, dir: 2, ...)" and so on. `human` as in numbers.h.
std::vector<std::string> StatsLines(const RsyncTotals& totals, int human);
// "sent N bytes  received N bytes  N bytes/sec" and "total size is N  speedup is N".
std::vector<std::string> ClosingLines(const RsyncTotals& totals, int human);
// "sent N bytes  received N bytes  total size N", for a log.
std::string LogLine(const RsyncTotals& totals);

}  // namespace uringsync
