#include "engine/transfer/fetch_window.h"

#include <algorithm>

namespace uringsync {
namespace {

// Of what the way holds: half of it is on its way while the other half is worked on.
constexpr double kGain = 2;

}  // namespace

void FetchWindow::OnAnswered(Time latency, uint64_t bytes, Time now) {
  latency = std::max(latency, Time(1));
  if (shortest_.count() == 0) {
    shortest_ = latency;
    round_begin_ = now;
  }
  shortest_ = std::min(shortest_, latency);
  ++round_requests_;
  round_bytes_ += bytes;
  const Time elapsed = now - round_begin_;
  if (elapsed < std::max(shortest_, kShortestRound)) return;
  const double trips = std::chrono::duration<double>(elapsed) / std::chrono::duration<double>(shortest_);
  const auto held = [trips](uint64_t count) {
    return static_cast<uint64_t>(kGain * static_cast<double>(count) / trips);
  };
  requests_ = static_cast<size_t>(std::clamp<uint64_t>(held(round_requests_), requests_, kMostRequests));
  bytes_ = std::clamp<uint64_t>(held(round_bytes_), bytes_, kMostBytes);
  round_begin_ = now;
  round_requests_ = 0;
  round_bytes_ = 0;
}

}  // namespace uringsync
