// Cancellation: what signals do to a command that has sessions with agents. The first one ends them in good order, a
// second one, or one before there are any, the command at once.
//
// Use:  auto cancellation = std::make_shared<Cancellation>("uringsync");  Interrupts interrupts;
//       interrupts.Watch([cancellation](int signal, int count) { cancellation->OnSignal(signal, count); });
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "engine/coro/cancel.h"

namespace uringsync {

// Shared with the thread that watches for signals.
struct Cancellation {
  // `name`: what the program calls itself in messages; a literal.
  explicit Cancellation(const char* name) : program(name) {}

  const char* const program;
  CancelSource source;
  std::atomic<bool> running{false};  // sessions may exist: they have to be ended in good order

  void OnSignal(int signal, int count);
  // Whether a signal has come, or comes within `patience`. Any thread.
  bool WaitForSignal(std::chrono::milliseconds patience);

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  bool has_come_ = false;
};

}  // namespace uringsync
