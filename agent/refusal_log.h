// RefusalLog: tells whom the agent has refused, and never more than a bound of lines a minute: strangers cannot fill the
// log. What was left out is counted in the first line of the next minute.
//
// Thread rule: any thread.
// Use:  refusals.Tell("data connection refused", {{"reason", text}});
#pragma once

#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <mutex>
#include <string_view>

#include "agent/logging.h"

namespace uringsync {

constexpr size_t kRefusalsAMinute = 60;

class RefusalLog {
 public:
  void Tell(std::string_view event, std::initializer_list<LogField> fields);

 private:
  // Whether a line may be written now; `left_out`: of the last minute, told once.
  bool Admit(size_t* left_out);

  std::mutex mutex_;
  std::chrono::steady_clock::time_point minute_{};
  size_t told_ = 0;
  size_t left_out_ = 0;
};

}  // namespace uringsync
