// EndOrderly: the end of a session's data connections as their peers should see it, within a time limit: a source that
// has stopped reading must not hold up a session that is done.
//
// Thread rule: a coroutine of the source's shard. Use:  running.SpawnOn(&shard, EndOrderly(source, kOrderlyEnd));
#pragma once

#include <cerrno>
#include <chrono>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/coro/task.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/remote_source.h"

namespace uringsync {

constexpr std::chrono::seconds kOrderlyEnd{5};

struct EndTimer {
  Op op;
  bool running = false;
  bool over = false;  // the end came before the timer was started
};

// Cuts the connections off when the timer has run out.
inline Task<void> CutOff(Driver* driver, EndTimer* timer, RemoteContentSource* source) {
  if (timer->over) co_return;
  timer->running = true;
  const int64_t result = co_await Await(driver, &timer->op);
  timer->running = false;
  if (result != -ECANCELED) source->Close(absl::CancelledError("the source does not take the end of the session"));
}

// Tells every connection of `source` that this is the end and waits until none runs any more; those that do not end
// within `limit` are cut off.
inline Task<void> EndOrderly(RemoteContentSource* source, std::chrono::milliseconds limit) {
  Driver* driver = Shard::Current()->driver();
  EndTimer timer;
  timer.op.code = OpCode::kTimeout;
  timer.op.timeout = limit;
  Scope timing;
  timing.Spawn(CutOff(driver, &timer, source));
  co_await source->End();
  co_await source->Drained();
  timer.over = true;
  if (timer.running) driver->Cancel(&timer.op);
  co_await timing.Join();
}

}  // namespace uringsync
