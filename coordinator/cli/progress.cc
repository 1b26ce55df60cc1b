#include "coordinator/cli/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "coordinator/cli/units.h"

namespace uringsync {
namespace {

constexpr std::chrono::seconds kWindow{5};
// Samples come at most ten a second; more than the window holds would be a caller's mistake, and are dropped.
constexpr size_t kMaxSamples = 128;
constexpr size_t kMinNameColumns = 8;

std::string FormatTimeLeft(const std::optional<std::chrono::seconds>& left) {
  if (!left) return "ETA …";
  const int64_t seconds = left->count();
  char buffer[64];
  if (seconds < 3600) {
    std::snprintf(buffer, sizeof(buffer), "ETA %d:%02d", static_cast<int>(seconds / 60),
                  static_cast<int>(seconds % 60));
  } else {
    std::snprintf(buffer, sizeof(buffer), "ETA %lld:%02d:%02d", static_cast<long long>(seconds / 3600),
                  static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  }
  return buffer;
}

int Percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return 100;
  return static_cast<int>(std::min<double>(100.0, 100.0 * static_cast<double>(part) / static_cast<double>(whole)));
}

}  // namespace

ProgressMeter::ProgressMeter(Clock::time_point start) {
  samples_.push_back({start, 0, 0});
}

void ProgressMeter::Add(Clock::time_point now, uint64_t bytes_done, uint64_t objects_done) {
  samples_.push_back({now, bytes_done, objects_done});
  // One sample older than the window stays, so that the window is never shorter than it says.
  while (samples_.size() > 2 && (now - samples_[1].when >= kWindow || samples_.size() > kMaxSamples))
    samples_.pop_front();
}

double ProgressMeter::PerSecond(uint64_t Sample::* counter) const {
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  const double seconds = std::chrono::duration<double>(last.when - first.when).count();
  if (seconds <= 0 || last.*counter <= first.*counter) return 0;
  return static_cast<double>(last.*counter - first.*counter) / seconds;
}

double ProgressMeter::rate() const {
  return PerSecond(&Sample::bytes);
}

std::optional<std::chrono::seconds> ProgressMeter::TimeLeft(const ProgressState& state) const {
  if (state.discovering) return std::nullopt;
  double seconds = 0;
  const auto add = [&seconds](uint64_t done, uint64_t total, double per_second) {
    if (done >= total) return true;
    if (per_second <= 0) return false;
    seconds = std::max(seconds, static_cast<double>(total - done) / per_second);
    return true;
  };
  const bool bytes_known = add(state.bytes_done, state.bytes_planned, rate());
  const bool objects_known = add(state.objects_done, state.objects_found, PerSecond(&Sample::objects));
  // Bytes say more than objects: a run that moves one big file has no object rate, but a time left.
  if (!bytes_known || (!objects_known && state.bytes_done >= state.bytes_planned)) return std::nullopt;
  constexpr double kLongest = 99 * 3600.0;
  return std::chrono::seconds(static_cast<int64_t>(std::ceil(std::min(seconds, kLongest))));
}

std::string FormatProgress(const ProgressState& state, const ProgressMeter& meter, size_t columns) {
  const std::string plus = state.discovering ? "+" : "";
  std::string line = std::to_string(state.objects_done) + "/" + std::to_string(state.objects_found) + plus + " objects";
  line += "  " + FormatBytes(state.bytes_done) + " of " + FormatBytes(state.bytes_planned) + plus;
  line += "  " + FormatRate(meter.rate());
  line += "  " + FormatTimeLeft(meter.TimeLeft(state));
  if (!state.current_file.empty()) {
    const std::string percent = " " + std::to_string(Percent(state.current_bytes, state.current_size)) + "%";
    const size_t used = DisplayColumns(line) + 2 + DisplayColumns(percent);
    if (used + kMinNameColumns <= columns) line += "  " + FitColumns(state.current_file, columns - used) + percent;
  }
  return FitColumns(line, columns);
}

}  // namespace uringsync
