// The time that --stop-at names.
//
// Thread rule: functions; they read the time zone of the process.
#pragma once

#include <ctime>
#include <string_view>

#include "absl/status/statusor.h"

namespace uringsync {

// "y-m-dTh:m" with '/' for '-' where wanted, a year of two digits, and anything left out from the left of the date and
// from the right of the time (rsync(1), --stop-at): the next local time after `now` that fits. "1-30": January 30th,
// midnight; "14:00": the next 2 P.M.; "31": the next 31st; ":59": the next 59th minute. InvalidArgument: no such form,
// or a time that has passed.
absl::StatusOr<std::time_t> ParseStopTime(std::string_view text, std::time_t now);

}  // namespace uringsync
