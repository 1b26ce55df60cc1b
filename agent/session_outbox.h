// SessionOutbox: everything that one session says on its control stream, written by one thread.
//
// Messages queue here from any thread; progress is asked for, not queued: after each notification and at most every
// kTick, `poll` says what there is to tell. So results always flow, and a slow coordinator makes messages rarer, not
// the queue longer. Manifest batches wait for a slot, which bounds the queue.
//
// Thread rule: Push, Notify and slots() from any thread; Start, Close on the session's thread.
// Use:  SessionOutbox outbox(stream, poll);  outbox.Start();  outbox.Push(message);  ...  outbox.Close();
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "engine/coro/semaphore.h"
#include "proto/transport.h"

namespace uringsync {

class SessionOutbox {
 public:
  static constexpr size_t kManifestSlots = 8;
  static constexpr std::chrono::milliseconds kTick{100};
  // A coordinator that was told of an error and does not end the stream is cut off after this.
  static constexpr std::chrono::seconds kLinger{5};
  // A session that has nothing to tell says that it lives after this, so that its silence means something.
  static constexpr std::chrono::milliseconds kSignOfLife{300};
  // How long Close waits for what is queued.
  static constexpr std::chrono::milliseconds kFlush{500};

  // `poll(tick, &message)`: the next message to be made from the session's state, false for none. `tick`: kTick has
  // passed since the last one that was made. Called on the writer's thread.
  using Poll = std::function<bool(bool tick, AgentMessage* message)>;
  explicit SessionOutbox(AgentStream* stream) : stream_(stream) {}
  ~SessionOutbox();
  SessionOutbox(const SessionOutbox&) = delete;
  SessionOutbox& operator=(const SessionOutbox&) = delete;

  // `signs_of_life`: the coordinator knows them (feature "alive").
  void Start(bool signs_of_life = false);
  // From now on `poll` is asked.
  void SetPoll(Poll poll);
  void Push(AgentMessage message);
  // The last message: nothing follows it. The first call counts.
  void Fail(ErrorKind kind, std::string text);
  bool failed() const;
  // What Fail was told, as the session's outcome; OK without it.
  absl::Status failure() const;
  // poll may have something to say.
  void Notify();
  // Ends the writer when it has sent what is queued, or at once where the stream has ended. `poll` is not called
  // afterwards.
  void Close();

  AgentStream* stream() const { return stream_; }

  // One unit for each manifest batch that waits to be sent; given back here.
  Semaphore* manifest_slots() { return &manifest_slots_; }
  void PushManifest(AgentMessage message, SemaphoreUnits slot);

 private:
  struct Item {
    AgentMessage message;
    SemaphoreUnits slot;
    bool last = false;
  };
  void Loop();
  bool SendQueued(std::unique_lock<std::mutex>* lock);
  bool SendPolled(std::unique_lock<std::mutex>* lock);
  bool SendSignOfLife(std::unique_lock<std::mutex>* lock);

  AgentStream* const stream_;
  Semaphore manifest_slots_{kManifestSlots};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> queue_;
  Poll poll_;
  bool notified_ = false;
  bool failing_ = false;
  size_t notices_ = 0;  // that were pushed
  absl::Status failure_;
  bool closing_ = false;
  bool signs_of_life_ = false;
  std::chrono::steady_clock::time_point last_sent_{};
  bool ended_ = false;
  std::chrono::steady_clock::time_point last_poll_{};
  std::thread thread_;
};

}  // namespace uringsync
