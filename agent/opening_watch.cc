#include "agent/opening_watch.h"

#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {

OpeningWatch::OpeningWatch(AgentStream* stream, OpeningLimits limits)
    : stream_(stream), limits_(limits), deadline_(std::chrono::steady_clock::now() + limits.message) {
  thread_ = std::thread([this] { Loop(); });
}

OpeningWatch::~OpeningWatch() {
  Stop();
}

absl::Status OpeningWatch::Passed(absl::Status result, const char* next) {
  std::lock_guard lock(mutex_);
  if (!late_.ok()) return late_;
  awaited_ = next;
  deadline_ = std::chrono::steady_clock::now() + limits_.message;
  return result;
}

void OpeningWatch::Stop() {
  {
    std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void OpeningWatch::Loop() {
  std::unique_lock lock(mutex_);
  while (!over_ && std::chrono::steady_clock::now() < deadline_) changed_.wait_until(lock, deadline_);
  if (over_) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limits_.message).count();
  const std::string text = awaited_ + " did not come within " + std::to_string(seconds) + " seconds";
  late_ = absl::DeadlineExceededError(text);
  lock.unlock();
  // A peer that is gone needs no farewell.
  static_cast<void>(stream_->Send(SessionError{ErrorKind::kTimeout, text}));
  lock.lock();
  // Cutting the stream at once could take the message with it.
  if (!changed_.wait_for(lock, limits_.linger, [this] { return over_; })) stream_->Close();
}

}  // namespace uringsync
