#include "coordinator/link/reconnecting.h"

#include <algorithm>

#include "coordinator/core/session_request.h"

namespace uringsync {
namespace {

// An agent that says nothing for so long counts as lost: a third of what a run rides out, within these bounds.
constexpr std::chrono::milliseconds kLeastSilence{1000};
constexpr std::chrono::milliseconds kMostSilence{15'000};
// Whoever set a limit for silence hears of that limit, not of this one, where both have passed.
constexpr std::chrono::milliseconds kAfterLimit{1000};

}  // namespace

Reconnecting ReconnectingFor(absl::Duration idle_timeout) {
  Reconnecting reconnecting;
  reconnecting.limit = RideOut(idle_timeout);
  reconnecting.silence = std::clamp(reconnecting.limit / 3, kLeastSilence, kMostSilence);
  reconnecting.limit_is_asked = idle_timeout != absl::InfiniteDuration();
  if (reconnecting.limit_is_asked) reconnecting.limit += kAfterLimit;
  return reconnecting;
}

}  // namespace uringsync
