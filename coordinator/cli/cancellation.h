// Cancellation: what signals do to a command that has sessions with agents. The first one ends them in good order, a second one, or
// one before there are any, the command at once.
//
// Use:  auto cancellation = std::make_shared<Cancellation>();  Interrupts interrupts;
//       interrupts.Watch([cancellation](int signal, int count) { cancellation->OnSignal(signal, count); });
#pragma once

#include <atomic>

#include "engine/coro/cancel.h"

namespace uringsync {

// Shared with the thread that watches for signals.
struct Cancellation {
  CancelSource source;
  std::atomic<bool> running{false};  // sessions may exist: they have to be ended in good order

  void OnSignal(int signal, int count);
};

}  // namespace uringsync
