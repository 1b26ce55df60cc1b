// The lock of a destination session, and how it passes from one that has lost its coordinator to the next.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "agent/backoff.h"
#include "agent/destination_session.h"
#include "engine/base/errno_status.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

// A session that makes way ends its work and leaves what it has in order: so long at most, looked at so often.
constexpr std::chrono::seconds kWayLimit{20};
constexpr std::chrono::milliseconds kWayInterval{20};
// How long a connection that broke may take to be noticed by the session that it belonged to.
constexpr std::chrono::milliseconds kNoticeLimit{500};

Task<void> SleepOnShard(std::chrono::nanoseconds time, CancelToken cancel) {
  co_await SleepUnlessCancelled(Shard::Current()->driver(), time, std::move(cancel));
}

}  // namespace

Task<absl::Status> DestinationSession::Lock() {
  SubtreeLockOptions options;
  options.wait = open_.wait_for_lock;
  options.shared = shares_root_;
  options.ancestors = context_.ancestors;
  options.cancel = cancel_.token();
  CancelToken token = cancel_.token();
  options.sleep = [this, token](std::chrono::nanoseconds time) {
    AskForWay();
    return SleepOnShard(time, token);
  };
  std::optional<std::chrono::steady_clock::time_point> waited_since;
  options.on_wait = [this, &waited_since](const absl::Status& refusal) {
    waited_since = std::chrono::steady_clock::now();
    outbox_->Push(Notice{"destination: " + std::string(ToStd(refusal.message())) + "; waiting for it to end"});
  };
  Driver* const driver = Shard::Current()->driver();
  absl::StatusOr<SubtreeLock> lock = co_await SubtreeLock::Acquire(driver, root_.directory, options);
  const auto begun = std::chrono::steady_clock::now();
  auto limit = begun;
  while (StatusErrno(lock.status()) == EWOULDBLOCK) {
    const LockWay way = AskForWay();
    if (way == LockWay::kMade) limit = begun + kWayLimit;
    if (way == LockWay::kConnected) limit = std::max(limit, begun + kNoticeLimit);
    if (std::chrono::steady_clock::now() >= limit) break;
    const bool go_on = co_await SleepUnlessCancelled(driver, kWayInterval, token);
    if (!go_on) break;
    lock = co_await SubtreeLock::Acquire(driver, root_.directory, options);
  }
  if (!lock.ok()) co_return lock.status();
  if (waited_since) {
    const auto waited = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - *waited_since);
    outbox_->Push(Notice{"destination: free after " + std::to_string(waited.count()) + " s; the run goes on"});
  }
  lock_ = *std::move(lock);
  co_return absl::OkStatus();
}

LockWay DestinationSession::AskForWay() {
  if (context_.lock_holders == nullptr) return LockWay::kNone;
  LockClaim claim{.who = context_.who, .root = {}, .above = {}};
  if (!LocateRoot(Shard::Current()->driver(), root_, &claim.root, &claim.above).ok())
    return LockWay::kNone;
  return context_.lock_holders->MakeWay(claim);
}

void DestinationSession::HoldTheWay(const SessionOpened& opened) {
  if (context_.lock_holders == nullptr) return;
  AgentStream* const stream = outbox_->stream();
  way_ = context_.lock_holders->Add({.who = context_.who, .root = opened.root.id, .above = opened.ancestors},
                                    [stream] { return stream->DetachedFor(); }, [stream] { stream->Close(); });
}

}  // namespace uringsync
