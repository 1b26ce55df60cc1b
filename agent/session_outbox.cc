#include "agent/session_outbox.h"

#include <utility>
#include <variant>

#include "proto/convert.h"

namespace uringsync {

SessionOutbox::~SessionOutbox() {
  Close();
}

void SessionOutbox::Start(bool signs_of_life) {
  signs_of_life_ = signs_of_life;
  last_sent_ = std::chrono::steady_clock::now();
  thread_ = std::thread([this] { Loop(); });
}

void SessionOutbox::SetPoll(Poll poll) {
  std::lock_guard lock(mutex_);
  poll_ = std::move(poll);
}

void SessionOutbox::Push(AgentMessage message) {
  std::lock_guard lock(mutex_);
  if (failing_ || closing_) return;
  if (auto* notice = std::get_if<Notice>(&message)) {
    if (++notices_ > kMaxNotices) return;
    if (notices_ == kMaxNotices) notice->text = "further notices are left out";
  }
  queue_.push_back({std::move(message), {}, false});
  changed_.notify_all();
}

void SessionOutbox::PushManifest(AgentMessage message, SemaphoreUnits slot) {
  std::lock_guard lock(mutex_);
  if (failing_ || closing_) return;
  queue_.push_back({std::move(message), std::move(slot), false});
  changed_.notify_all();
}

void SessionOutbox::Fail(ErrorKind kind, std::string text) {
  std::lock_guard lock(mutex_);
  if (failing_ || closing_) return;
  failing_ = true;
  failure_ = absl::AbortedError(text);
  queue_.push_back({SessionError{kind, std::move(text)}, {}, true});
  changed_.notify_all();
}

bool SessionOutbox::failed() const {
  std::lock_guard lock(mutex_);
  return failing_;
}

absl::Status SessionOutbox::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void SessionOutbox::Notify() {
  std::lock_guard lock(mutex_);
  notified_ = true;
  changed_.notify_all();
}

void SessionOutbox::Close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  if (!thread_.joinable()) return;
  {
    // A peer that takes nothing any more must not hold up the end of the session.
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kFlush, [this] { return ended_; })) stream_->Close();
  }
  thread_.join();
}

// Sends what is queued. False when the writer is to end.
bool SessionOutbox::SendQueued(std::unique_lock<std::mutex>* lock) {
  while (!queue_.empty()) {
    Item item = std::move(queue_.front());
    queue_.pop_front();
    lock->unlock();
    absl::Status sent = stream_->Send(item.message);
    item.slot = SemaphoreUnits();
    lock->lock();
    last_sent_ = std::chrono::steady_clock::now();
    if (!sent.ok()) return false;
    if (!item.last) continue;
    if (!changed_.wait_for(*lock, kLinger, [this] { return closing_; })) {
      lock->unlock();
      stream_->Close();
      lock->lock();
    }
    return false;
  }
  return true;
}

bool SessionOutbox::SendPolled(std::unique_lock<std::mutex>* lock) {
  notified_ = false;
  while (poll_ && !failing_ && !closing_) {
    auto now = std::chrono::steady_clock::now();
    bool tick = now - last_poll_ >= kTick;
    AgentMessage message;
    if (!poll_(tick, &message)) break;
    last_poll_ = last_sent_ = now;
    lock->unlock();
    absl::Status sent = stream_->Send(message);
    lock->lock();
    if (!sent.ok()) return false;
  }
  return true;
}

bool SessionOutbox::SendSignOfLife(std::unique_lock<std::mutex>* lock) {
  const auto now = std::chrono::steady_clock::now();
  if (!signs_of_life_ || failing_ || closing_ || now - last_sent_ < kSignOfLife) return true;
  last_sent_ = now;
  lock->unlock();
  absl::Status sent = stream_->Send(ApplyProgress{});
  lock->lock();
  return sent.ok();
}

void SessionOutbox::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, kTick, [this] { return !queue_.empty() || notified_ || closing_; });
    if (!SendQueued(&lock)) break;
    if (!SendPolled(&lock)) break;
    if (!SendSignOfLife(&lock)) break;
    if (closing_ && queue_.empty()) break;
  }
  // Whoever waits for a slot must not wait for a writer that is gone.
  failing_ = true;
  std::deque<Item> dropped;
  dropped.swap(queue_);
  ended_ = true;
  changed_.notify_all();
  lock.unlock();
}

}  // namespace uringsync
