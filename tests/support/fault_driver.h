// FaultDriver: fails, shortens or delays chosen operations and inline calls of the driver it wraps.
//
// Fault model: an operation or call may fail with any errno, before it has any effect; a transfer may be cut short (and
// then has exactly the short effect); a completion may come some polls later than its effect. Rules are shared by all
// shards of a runtime and count matching operations across them.
//
// Use:  auto plan = std::make_shared<FaultPlan>();
//       plan->Fail(OpCode::kWrite, /*nth=*/3, EIO);              // the third write (1 is the first)
//       plan->FailFrom(OpCode::kWrite, 3, ENOSPC);               // the third and every later one
//       plan->Fail(CallCode::kRenameat2, 1, EXDEV);
//       plan->Shorten(OpCode::kRead, 1, 10);                     // returns at most 10 bytes
//       plan->Delay(OpCode::kFsync, 1, 5);                       // completes five polls late
//       options.wrap_driver = plan->Wrapper();
//
// Thread rule: FaultPlan is thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tests/support/completion_interceptor.h"

namespace uringsync {

class FaultPlan : public std::enable_shared_from_this<FaultPlan> {
 public:
  static constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();

  // `nth` counts from 1, from the moment the rule is added. The rule holds for `times` occurrences.
  void Fail(OpCode code, uint64_t nth, int err, uint64_t times = 1);
  void Fail(CallCode code, uint64_t nth, int err, uint64_t times = 1);
  void FailFrom(OpCode code, uint64_t nth, int err) { Fail(code, nth, err, kForever); }
  void FailFrom(CallCode code, uint64_t nth, int err) { Fail(code, nth, err, kForever); }
  void Shorten(OpCode code, uint64_t nth, uint32_t max_bytes, uint64_t times = 1);
  // kPread and kPwrite alone, whose third argument is how much they move.
  void Shorten(CallCode code, uint64_t nth, uint32_t max_bytes, uint64_t times = 1);
  void Delay(OpCode code, uint64_t nth, int polls, uint64_t times = 1);
  // Decides by the call itself: a positive errno fails it, 0 lets it through. For faults that depend on arguments.
  using CallFilter = std::function<int(CallCode code, const long (&arguments)[6])>;
  void FilterCalls(CallFilter filter);
  using OpFilter = std::function<int(const Op& op)>;
  void FilterOps(OpFilter filter);
  void Clear();

  // How many faults were injected so far: a test of a fault must see that it happened.
  uint64_t injected() const;

  std::unique_ptr<Driver> Wrap(std::unique_ptr<Driver> inner);
  std::function<std::unique_ptr<Driver>(std::unique_ptr<Driver>)> Wrapper();

 private:
  friend class FaultDriver;
  struct OpEffect {
    int err = 0;
    std::optional<uint32_t> max_bytes;
    int delay_polls = 0;
  };
  struct OpRule {
    OpCode code;
    uint64_t nth;
    uint64_t times;
    OpEffect effect;
    uint64_t seen = 0;
  };
  struct CallRule {
    CallCode code;
    uint64_t nth;
    uint64_t times;
    int err;
    std::optional<uint32_t> max_bytes;
    uint64_t seen = 0;
  };
  OpEffect OnOp(const Op& op);
  // The errno, else 0 and less in the third argument where that is asked for.
  int OnCall(CallCode code, long (&arguments)[6]);

  mutable std::mutex mutex_;
  std::vector<OpRule> op_rules_;
  std::vector<CallRule> call_rules_;
  CallFilter call_filter_;
  OpFilter op_filter_;
  uint64_t injected_ = 0;
};

}  // namespace uringsync
