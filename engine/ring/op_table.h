// OpTable: what a driver knows of its operations in flight, found again by a token that is never mistaken for an older
// one.
//
// Deadlines: a heap by time over the operations that have one, so that a time-out costs nothing but two heap moves when
// the operation is faster (a linked kernel time-out costs a second submission and completion each).
//
// Thread rule: one shard.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "engine/ring/driver.h"

namespace uringsync {

using MonotonicTime = std::chrono::steady_clock::time_point;

// Bookkeeping of one operation in flight. op->driver_state points to it until the completion is posted.
struct OpState {
  enum class Phase : uint8_t {
    kFree,
    kQueued,    // not given to the kernel yet
    kIssued,    // the operation itself is with the kernel (or a pool thread)
    kPolling,   // waits for readiness, to be issued again
    kSleeping,  // waits for its deadline only: a timer, or a try again after a pause
  };
  Op* op = nullptr;
  uint32_t slot = 0;
  uint32_t generation = 1;
  Phase phase = Phase::kFree;
  bool cancel_requested = false;  // by the caller
  bool timed_out = false;         // op->timeout has passed
  bool needs_poll = false;        // waits for readiness before it is issued again
  bool force_worker = false;      // file data that cannot be done without blocking: issue to a worker at once
  uint64_t enter_sequence = 0;    // the io_uring_enter that took it
  // Deadline heap.
  static constexpr uint32_t kNoHeapIndex = UINT32_MAX;
  uint32_t heap_index = kNoHeapIndex;
  MonotonicTime deadline;
  MonotonicTime limit = MonotonicTime::max();  // when op->timeout has passed
  int saved_flags = -1;  // F_GETFL of a descriptor made non-blocking for the time of the operation

  uint64_t token() const { return (static_cast<uint64_t>(generation) << 32) | slot; }
};

class OpTable {
 public:
  // A state for `op`, linked both ways.
  OpState* Add(Op* op);
  // Ends it: op->driver_state becomes null, the deadline goes, tokens to it find nothing from now on.
  void Remove(OpState* state);
  // nullptr where the operation has ended.
  OpState* Find(uint64_t token);
  size_t size() const { return live_; }

  // At most one deadline for an operation; a second call moves it.
  void SetDeadline(OpState* state, MonotonicTime when);
  void ClearDeadline(OpState* state);
  std::optional<MonotonicTime> NextDeadline() const;
  // Takes one operation whose deadline is at or before `now` out of the heap; nullptr where there is none.
  OpState* TakeExpired(MonotonicTime now);

 private:
  void SiftUp(uint32_t index);
  void SiftDown(uint32_t index);
  void Place(uint32_t index, OpState* state);

  std::deque<OpState> states_;  // stable addresses
  std::vector<uint32_t> free_;
  std::vector<OpState*> heap_;
  size_t live_ = 0;
};

// max(0, until deadline, cut to max_wait).
std::chrono::nanoseconds WaitUntil(std::optional<MonotonicTime> deadline, std::chrono::nanoseconds max_wait);

// Result that the caller sees for a raw `result` of an operation that was cancelled or timed out: -ECANCELED and -EINTR
// become -ETIME or -ECANCELED; anything else won the race and stays.
int64_t FinalResult(const OpState& state, int64_t result);

}  // namespace uringsync
