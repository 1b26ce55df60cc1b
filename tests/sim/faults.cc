#include "tests/sim/faults.h"

#include <cerrno>
#include <utility>

namespace uringsync::sim {
namespace {

bool CanFail(CallCode code) {
  switch (code) {
    case CallCode::kClose:
    case CallCode::kMunmap:
    case CallCode::kSocket:
    case CallCode::kBind:
    case CallCode::kListen:
    case CallCode::kSetsockopt:
    case CallCode::kGetsockname:
    case CallCode::kGetpeername:
    case CallCode::kGetsockopt:
    case CallCode::kShutdown:
    case CallCode::kFadvise: return false;
    default: return true;
  }
}

}  // namespace

void Faults::Clear() {
  planned_.clear();
  failures_.clear();
  listings_of_.clear();
  calls_ = 0;
  calls_of_.clear();
}

void Faults::AtCall(uint64_t number, std::function<void()> event) {
  planned_.push_back({-1, number, std::move(event)});
}

void Faults::AtCallOf(ProcessId process, uint64_t number, std::function<void()> event) {
  planned_.push_back({process, number, std::move(event)});
}

void Faults::FailCall(ProcessId process, uint64_t number, int error, uint64_t times) {
  failures_.push_back({process, number, error, times});
}

void Faults::FailListing(ProcessId process, uint64_t number, int error) {
  failures_.push_back({process, number, error, 1, true});
}

int Faults::Pass(ProcessId process, bool can_fail, bool is_listing) {
  ++calls_;
  const uint64_t own = ++calls_of_[process];
  const uint64_t listing = is_listing ? ++listings_of_[process] : 0;
  for (size_t i = 0; i < planned_.size(); ++i) {
    const bool any = planned_[i].process < 0;
    if (any ? planned_[i].number > calls_ : planned_[i].process != process || planned_[i].number > own) continue;
    const std::function<void()> event = std::move(planned_[i].event);
    planned_.erase(planned_.begin() + static_cast<ptrdiff_t>(i));
    if (any) {
      scheduler_->At(scheduler_->now(), event);
    } else {
      // Kills the caller: does not return.
      event();
    }
    break;
  }
  if (!can_fail) return 0;
  for (Failure& failure : failures_) {
    const uint64_t reached = failure.of_listings ? listing : own;
    if (failure.process != process || reached < failure.number || failure.times == 0) continue;
    --failure.times;
    ++injected_;
    scheduler_->Note("fail", failure.error);
    return -failure.error;
  }
  return 0;
}

int Faults::BeforeCall(ProcessId process, CallCode code) {
  const int error = Pass(process, CanFail(code), code == CallCode::kGetdents);
  // Planted: the end of a listing that has failed looks like any other.
  if (error < 0 && code == CallCode::kGetdents && kernel_->defects().hidden_errors) return kSilentEnd;
  return error;
}

int Faults::BeforeOp(ProcessId process, const Op& op) {
  const bool of_file = op.code == OpCode::kRead || op.code == OpCode::kWrite || op.code == OpCode::kFsync ||
                       op.code == OpCode::kFallocate;
  return Pass(process, of_file, false);
}

}  // namespace uringsync::sim
