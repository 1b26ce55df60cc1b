// Progress: what the progress line says, from counters and a clock that the caller reads.
//
// Thread rule: values and functions; ProgressMeter belongs to one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace uringsync {

struct ProgressState {
  uint64_t objects_found = 0;  // source entries seen so far
  uint64_t objects_done = 0;   // found unchanged, or their action has ended
  uint64_t bytes_planned = 0;  // of the files to be transferred, as far as known
  uint64_t bytes_done = 0;     // of those, written
  bool discovering = true;     // the source's manifest still runs
  std::string current_file;    // escaped; empty: no large file is moving
  uint64_t current_bytes = 0;
  uint64_t current_size = 0;
};

// Rate over the last few seconds, and the time left.
class ProgressMeter {
 public:
  using Clock = std::chrono::steady_clock;
  explicit ProgressMeter(Clock::time_point start);
  void Add(Clock::time_point now, uint64_t bytes_done, uint64_t objects_done);
  // Bytes per second over the window; 0 before the second sample.
  double rate() const;
  // Seconds until everything planned is done, by bytes and by objects, whichever takes longer; nullopt while
  // discovering, or while nothing moves.
  std::optional<std::chrono::seconds> TimeLeft(const ProgressState& state) const;

 private:
  struct Sample {
    Clock::time_point when;
    uint64_t bytes = 0;
    uint64_t objects = 0;
  };
  double PerSecond(uint64_t Sample::* counter) const;
  std::deque<Sample> samples_;
};

// One line, at most `columns` wide, without a newline: "1234/5678 objects  1.20/3.40 GB  120 MB/s  ETA 0:18 dir/big.iso
// 45%". While discovering the totals carry a "+" and the ETA is "…". The file's name is what gets cut.
std::string FormatProgress(const ProgressState& state, const ProgressMeter& meter, size_t columns);

}  // namespace uringsync
