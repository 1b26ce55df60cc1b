#include "agent/refusal_log.h"

#include <string>
#include <utility>

namespace uringsync {

bool RefusalLog::Admit(size_t* left_out) {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - minute_ >= std::chrono::minutes(1)) {
    minute_ = now;
    told_ = 0;
    *left_out = std::exchange(left_out_, 0);
  }
  if (told_ >= kRefusalsAMinute) {
    ++left_out_;
    return false;
  }
  ++told_;
  return true;
}

void RefusalLog::Tell(std::string_view event, std::initializer_list<LogField> fields) {
  size_t left_out = 0;
  if (!Admit(&left_out)) return;
  if (left_out > 0) LogEvent(LogLevel::kWarn, "refusals that were not told", {{"count", std::to_string(left_out)}});
  LogEvent(LogLevel::kWarn, event, fields);
}

}  // namespace uringsync
