#include "tests/support/completion_interceptor.h"

#include <algorithm>

namespace uringsync {

void CompletionInterceptor::Submit(Op* op) {
  auto owned = std::make_unique<Pending>();
  Pending* pending = owned.get();
  pending->op = op;
  pending->shadow = *op;
  pending->shadow.driver_state = nullptr;
  pending->shadow.waiter = std::coroutine_handle<>::from_address(pending);
  pending->shadow.executor = &sink_;
  op->driver_state = pending;
  pending_.emplace(op, std::move(owned));
  if (Admit(pending)) {
    inner_->Submit(&pending->shadow);
  } else {
    OnShadowDone(pending);
  }
}

void CompletionInterceptor::Cancel(Op* op) {
  const auto found = pending_.find(op);
  if (found != pending_.end()) inner_->Cancel(&found->second->shadow);
}

void CompletionInterceptor::OnShadowDone(Pending* pending) {
  pending->polls_left = HoldFor(pending);
  held_.push_back(pending);
}

int CompletionInterceptor::Poll(std::chrono::nanoseconds max_wait) {
  // What is held back comes out by more polls, so the loop must not sleep on it.
  inner_->Poll(held_.empty() ? max_wait : std::chrono::nanoseconds(0));
  return Release();
}

int CompletionInterceptor::Release() {
  std::vector<Pending*> due;
  std::erase_if(held_, [&due](Pending* pending) {
    if (pending->polls_left-- > 0) return false;
    due.push_back(pending);
    return true;
  });
  Reorder(&due);
  for (Pending* pending : due) {
    Op* op = pending->op;
    op->result = pending->shadow.result;
    BeforeCompletion(pending);
    op->driver_state = nullptr;
    pending_.erase(op);
    op->executor->Post(op->waiter);
  }
  return static_cast<int>(due.size());
}

}  // namespace uringsync
