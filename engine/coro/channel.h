// Channel<T>: a bounded queue between coroutines, across shards, and to plain threads (the hand-over of this engine).
//
// Many senders, many receivers, first come first served. Close() lets receivers drain what was sent, then they get
// nullopt; senders get false at once. Thread-safe.
//
// Use:  Channel<Batch> channel(16);
//       bool taken = co_await channel.Send(std::move(batch));      // false: closed
//       std::optional<Batch> next = co_await channel.Receive();    // nullopt: closed and drained
//       channel.BlockingSend(...), channel.BlockingReceive()       // from threads that are no executor
#pragma once

#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "engine/coro/executor.h"

namespace uringsync {

template <typename T>
class Channel {
 public:
  // `capacity` ≥ 1: values held beyond those handed to a waiting receiver.
  explicit Channel(size_t capacity) : capacity_(capacity) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  class SendAwaiter {
   public:
    SendAwaiter(Channel* channel, T value) : channel_(channel), value_(std::move(value)) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      std::unique_lock lock(channel_->mutex_);
      if (channel_->closed_) return false;
      if (channel_->PushLocked(&value_, &lock)) {
        sent_ = true;
        return false;
      }
      handle_ = handle;
      executor_ = Executor::Current();
      channel_->senders_.push_back(this);
      return true;
    }
    bool await_resume() const noexcept { return sent_; }

   private:
    friend class Channel;
    Channel* channel_;
    T value_;
    bool sent_ = false;
    std::coroutine_handle<> handle_;
    Executor* executor_ = nullptr;
  };

  class ReceiveAwaiter {
   public:
    explicit ReceiveAwaiter(Channel* channel) : channel_(channel) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      std::unique_lock lock(channel_->mutex_);
      if (channel_->PopLocked(&value_, &lock)) return false;
      if (channel_->closed_) return false;
      handle_ = handle;
      executor_ = Executor::Current();
      channel_->receivers_.push_back(this);
      return true;
    }
    std::optional<T> await_resume() noexcept { return std::move(value_); }

   private:
    friend class Channel;
    Channel* channel_;
    std::optional<T> value_;
    std::coroutine_handle<> handle_;
    Executor* executor_ = nullptr;
  };

  // Resumes when the value is queued (true) or the channel is closed (false).
  SendAwaiter Send(T value) { return SendAwaiter(this, std::move(value)); }
  // Resumes with the next value, or nullopt when closed and drained.
  ReceiveAwaiter Receive() { return ReceiveAwaiter(this); }

  bool BlockingSend(T value) {
    std::unique_lock lock(mutex_);
    while (!closed_) {
      if (PushLocked(&value, &lock)) return true;
      ++blocked_threads_;
      thread_wakeup_.wait(lock);
      --blocked_threads_;
    }
    return false;
  }

  std::optional<T> BlockingReceive() {
    std::unique_lock lock(mutex_);
    while (true) {
      std::optional<T> value;
      if (PopLocked(&value, &lock)) return value;
      if (closed_) return std::nullopt;
      ++blocked_threads_;
      thread_wakeup_.wait(lock);
      --blocked_threads_;
    }
  }

  // Takes a value if one is there.
  std::optional<T> TryReceive() {
    std::unique_lock lock(mutex_);
    std::optional<T> value;
    PopLocked(&value, &lock);
    return value;
  }
  // Queues the value if there is room; leaves it untouched otherwise.
  bool TrySend(T* value) {
    std::unique_lock lock(mutex_);
    return !closed_ && PushLocked(value, &lock);
  }

  void Close() {
    std::deque<SendAwaiter*> senders;
    std::deque<ReceiveAwaiter*> receivers;
    {
      std::unique_lock lock(mutex_);
      if (closed_) return;
      closed_ = true;
      senders.swap(senders_);
      receivers.swap(receivers_);
      thread_wakeup_.notify_all();
    }
    for (SendAwaiter* sender : senders) sender->executor_->Post(sender->handle_);
    for (ReceiveAwaiter* receiver : receivers) receiver->executor_->Post(receiver->handle_);
  }

  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  // Both run under the lock; a coroutine to be woken is posted under it too (Post never resumes inline), after its
  // awaiter was taken off the list and filled.
  bool PushLocked(T* value, std::unique_lock<std::mutex>*) {
    if (!receivers_.empty()) {
      ReceiveAwaiter* receiver = receivers_.front();
      receivers_.pop_front();
      receiver->value_.emplace(std::move(*value));
      receiver->executor_->Post(receiver->handle_);
      return true;
    }
    if (values_.size() >= capacity_) return false;
    values_.push_back(std::move(*value));
    if (blocked_threads_ > 0) thread_wakeup_.notify_all();
    return true;
  }

  bool PopLocked(std::optional<T>* value, std::unique_lock<std::mutex>*) {
    if (values_.empty()) return false;
    value->emplace(std::move(values_.front()));
    values_.pop_front();
    if (!senders_.empty()) {
      SendAwaiter* sender = senders_.front();
      senders_.pop_front();
      values_.push_back(std::move(sender->value_));
      sender->sent_ = true;
      sender->executor_->Post(sender->handle_);
    }
    if (blocked_threads_ > 0) thread_wakeup_.notify_all();
    return true;
  }

  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable thread_wakeup_;
  size_t blocked_threads_ = 0;
  bool closed_ = false;
  std::deque<T> values_;
  std::deque<SendAwaiter*> senders_;
  std::deque<ReceiveAwaiter*> receivers_;
};

}  // namespace uringsync
