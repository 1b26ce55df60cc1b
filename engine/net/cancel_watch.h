// CancelWatch: makes one coroutine's wait end as soon as a token is cancelled, by shutting the stream or cancelling the
// operation that it waits for.
//
// Thread rule: one shard, the one on which it was made; the token is cancelled from any thread. What is watched must
// live until Watch is called with something else, Rest is called, or the owner is told to End.
// Use:  CancelWatch watch(cancel);
//       watch.Watch(stream.get());   ... co_await stream->Read(...) ...
//       watch.Rest();
//       co_await watch.End();        // required before destruction
#pragma once

#include "engine/coro/cancel.h"
#include "engine/coro/scope.h"
#include "engine/coro/task.h"
#include "engine/net/stream.h"
#include "engine/ring/driver.h"

namespace uringsync {

class CancelWatch {
 public:
  explicit CancelWatch(const CancelToken& cancel);
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

  // From now on a cancel shuts `stream`; at once where the token is cancelled already.
  void Watch(Stream* stream);
  // From now on a cancel cancels `op`, which is about to be submitted.
  void Watch(Driver* driver, Op* op);
  // Nothing is waited for.
  void Rest();
  // OK, or why the token was cancelled.
  absl::Status status() const { return cancel_.status(); }
  // `result` of what was waited for, or why it was cancelled.
  absl::Status Blame(absl::Status result) const;
  Task<void> End();

 private:
  Task<void> Interrupt();

  const CancelToken cancel_;
  Executor* const shard_;
  Stream* stream_ = nullptr;
  Driver* driver_ = nullptr;
  Op* op_ = nullptr;
  Scope interrupts_;
  CancelToken::Registration registration_;
};

}  // namespace uringsync
