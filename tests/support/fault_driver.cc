#include "tests/support/fault_driver.h"

#include <algorithm>
#include <utility>

namespace uringsync {
namespace {

// True when this occurrence is one the rule is about.
template <typename Rule>
bool Hits(Rule* rule) {
  ++rule->seen;
  return rule->seen >= rule->nth && rule->seen - rule->nth < rule->times;
}

}  // namespace

class FaultDriver final : public CompletionInterceptor {
 public:
  FaultDriver(std::unique_ptr<Driver> inner, std::shared_ptr<FaultPlan> plan)
      : CompletionInterceptor(std::move(inner)), plan_(std::move(plan)) {}

  long Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) override {
    long arguments[6] = {a0, a1, a2, a3, a4, a5};
    const int err = plan_->OnCall(code, arguments);
    return err != 0 ? -err : CompletionInterceptor::Call(code, a0, a1, arguments[2], a3, a4, a5);
  }

 protected:
  bool Admit(Pending* pending) override {
    const FaultPlan::OpEffect effect = plan_->OnOp(*pending->op);
    pending->polls_left = effect.delay_polls;
    if (effect.max_bytes.has_value()) pending->shadow.length = std::min(pending->shadow.length, *effect.max_bytes);
    if (effect.err == 0) return true;
    pending->shadow.result = -effect.err;
    return false;
  }
  int HoldFor(Pending* pending) override { return pending->polls_left; }

 private:
  std::shared_ptr<FaultPlan> plan_;
};

void FaultPlan::Fail(OpCode code, uint64_t nth, int err, uint64_t times) {
  std::lock_guard lock(mutex_);
  op_rules_.push_back({code, nth, times, {.err = err}});
}

void FaultPlan::Fail(CallCode code, uint64_t nth, int err, uint64_t times) {
  std::lock_guard lock(mutex_);
  call_rules_.push_back({code, nth, times, err, std::nullopt});
}

void FaultPlan::Shorten(CallCode code, uint64_t nth, uint32_t max_bytes, uint64_t times) {
  std::lock_guard lock(mutex_);
  call_rules_.push_back({code, nth, times, 0, max_bytes});
}

void FaultPlan::Shorten(OpCode code, uint64_t nth, uint32_t max_bytes, uint64_t times) {
  std::lock_guard lock(mutex_);
  op_rules_.push_back({code, nth, times, {.max_bytes = max_bytes}});
}

void FaultPlan::Delay(OpCode code, uint64_t nth, int polls, uint64_t times) {
  std::lock_guard lock(mutex_);
  op_rules_.push_back({code, nth, times, {.delay_polls = polls}});
}

void FaultPlan::FilterCalls(CallFilter filter) {
  std::lock_guard lock(mutex_);
  call_filter_ = std::move(filter);
}

void FaultPlan::FilterOps(OpFilter filter) {
  std::lock_guard lock(mutex_);
  op_filter_ = std::move(filter);
}

void FaultPlan::Clear() {
  std::lock_guard lock(mutex_);
  op_rules_.clear();
  call_rules_.clear();
  call_filter_ = nullptr;
  op_filter_ = nullptr;
}

uint64_t FaultPlan::injected() const {
  std::lock_guard lock(mutex_);
  return injected_;
}

FaultPlan::OpEffect FaultPlan::OnOp(const Op& op) {
  std::lock_guard lock(mutex_);
  OpEffect sum;
  if (op_filter_) sum.err = op_filter_(op);
  for (OpRule& rule : op_rules_) {
    if (rule.code != op.code || !Hits(&rule)) continue;
    if (rule.effect.err != 0) sum.err = rule.effect.err;
    if (rule.effect.max_bytes.has_value()) sum.max_bytes = rule.effect.max_bytes;
    sum.delay_polls += rule.effect.delay_polls;
  }
  if (sum.err != 0 || sum.max_bytes.has_value() || sum.delay_polls > 0) ++injected_;
  return sum;
}

int FaultPlan::OnCall(CallCode code, long (&arguments)[6]) {
  std::lock_guard lock(mutex_);
  int err = call_filter_ ? call_filter_(code, arguments) : 0;
  bool shorter = false;
  for (CallRule& rule : call_rules_) {
    if (rule.code != code || !Hits(&rule)) continue;
    if (rule.err != 0) err = rule.err;
    if (!rule.max_bytes || arguments[2] <= static_cast<long>(*rule.max_bytes)) continue;
    arguments[2] = static_cast<long>(*rule.max_bytes);
    shorter = true;
  }
  if (err != 0 || shorter) ++injected_;
  return err;
}

std::unique_ptr<Driver> FaultPlan::Wrap(std::unique_ptr<Driver> inner) {
  return std::make_unique<FaultDriver>(std::move(inner), shared_from_this());
}

std::function<std::unique_ptr<Driver>(std::unique_ptr<Driver>)> FaultPlan::Wrapper() {
  return [plan = shared_from_this()](std::unique_ptr<Driver> inner) { return plan->Wrap(std::move(inner)); };
}

}  // namespace uringsync
