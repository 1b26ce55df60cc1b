#include "agent/lock_holders.h"

#include <algorithm>
#include <utility>

#include "agent/logging.h"

namespace uringsync {

struct LockHolder {
  LockClaim claim;
  LockHolders::DetachedFor detached_for;
  std::function<void()> end;
};

namespace {

bool LiesIn(const LockClaim& claim, const FileId& directory) {
  return directory == claim.root || std::find(claim.above.begin(), claim.above.end(), directory) != claim.above.end();
}

bool Overlap(const LockClaim& a, const LockClaim& b) {
  return LiesIn(a, b.root) || LiesIn(b, a.root);
}

}  // namespace

LockHolders::LockHolders() = default;
LockHolders::~LockHolders() = default;

LockHolders::Hold::Hold(Hold&& other) noexcept
    : holders_(std::exchange(other.holders_, nullptr)), place_(other.place_) {}

LockHolders::Hold& LockHolders::Hold::operator=(Hold&& other) noexcept {
  if (this == &other) return *this;
  Release();
  holders_ = std::exchange(other.holders_, nullptr);
  place_ = other.place_;
  return *this;
}

void LockHolders::Hold::Release() {
  if (holders_ == nullptr) return;
  std::lock_guard lock(holders_->mutex_);
  holders_->holders_.erase(place_);
  holders_ = nullptr;
}

LockHolders::Hold LockHolders::Add(LockClaim claim, DetachedFor detached_for, std::function<void()> end) {
  Hold hold;
  std::lock_guard lock(mutex_);
  hold.place_ = holders_.insert(holders_.end(), {std::move(claim), std::move(detached_for), std::move(end)});
  hold.holders_ = this;
  return hold;
}

LockWay LockHolders::MakeWay(const LockClaim& claim) {
  // Under the lock: nobody in the list goes meanwhile.
  std::lock_guard lock(mutex_);
  LockWay way = LockWay::kNone;
  for (const LockHolder& holder : holders_) {
    if (!Overlap(holder.claim, claim)) continue;
    const std::optional<std::chrono::milliseconds> detached = holder.detached_for();
    const bool successor = !claim.who.empty() && claim.who == holder.claim.who;
    if (!detached && successor && way == LockWay::kNone) way = LockWay::kConnected;
    if (!detached || (!successor && *detached < kPatience)) continue;
    LogEvent(LogLevel::kInfo, "session makes way",
             {{"without_connection", std::to_string(detached->count() / 1000) + " s"}});
    holder.end();
    way = LockWay::kMade;
  }
  return way;
}

}  // namespace uringsync
