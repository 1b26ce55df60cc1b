#include "agent/identity_watch.h"

#include <string>
#include <utility>

#include "agent/logging.h"
#include "engine/base/errno_status.h"

namespace uringsync {

IdentityWatch::IdentityWatch(std::shared_ptr<TlsIdentity> identity, OnLook on_look)
    : identity_(std::move(identity)), on_look_(std::move(on_look)), thread_([this] { Loop(); }) {}

IdentityWatch::~IdentityWatch() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void IdentityWatch::Loop() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kTlsRefreshInterval, [this] { return over_; })) {
    lock.unlock();
    Look();
    lock.lock();
  }
}

void IdentityWatch::Look() {
  const TlsRefresh refresh = identity_->Refresh();
  if (!refresh.problem.ok()) {
    LogEvent(LogLevel::kWarn, "changed certificate files are not used",
             {{"reason", std::string(ToStd(refresh.problem.message()))}, {"instead", "those that were loaded before"}});
  }
  const std::shared_ptr<const TlsContext> now = identity_->current();
  if (refresh.renewed) {
    LogEvent(LogLevel::kInfo, "certificate files loaded again", {{"in_force", now->summary()}});
    for (const std::string& warning : now->warnings()) LogEvent(LogLevel::kWarn, warning);
  }
  on_look_(*now, refresh.renewed);
}

}  // namespace uringsync
