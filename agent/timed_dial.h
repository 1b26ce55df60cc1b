// DialWithin: a data connection that is there within a time limit, or a clear error: name resolution and connect have
// no limit of their own (a host that drops packets makes the kernel try for two minutes).
//
// Thread rule: a coroutine of one shard.
// Use:  co_await DialWithin(driver, std::move(dial), kDialLimit, DialRequestChannel);
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "engine/base/errno_status.h"
#include "engine/coro/cancel.h"
#include "engine/coro/scope.h"
#include "engine/coro/task.h"
#include "engine/ring/driver.h"
#include "proto/data_stream.h"

namespace uringsync {

// One try: name, connect, TLS and hello.
constexpr std::chrono::seconds kDialLimit{10};
// What ends the dial; the timer's operation lives here while it is in flight.
struct DialTimer {
  Op op;
  bool running = false;
  bool over = false;  // the dial ended before the timer was started
  CancelSource cancel;
};

inline Task<void> RunDialTimer(Driver* driver, DialTimer* timer, absl::Status late) {
  if (timer->over) co_return;
  timer->running = true;
  const int64_t result = co_await Await(driver, &timer->op);
  timer->running = false;
  // Cancelled: the dial ended first.
  if (result != -ECANCELED) timer->cancel.Cancel(std::move(late));
}

// `dial.cancel` ends it too. DeadlineExceeded names the address and the limit.
template <typename Channel>
Task<absl::StatusOr<std::unique_ptr<Channel>>> DialWithin(
    Driver* driver, DataDial dial, std::chrono::milliseconds limit,
    Task<absl::StatusOr<std::unique_ptr<Channel>>> (*connect)(Driver*, DataDial)) {
  DialTimer timer;
  timer.op.code = OpCode::kTimeout;
  timer.op.timeout = limit;
  const CancelToken outer = dial.cancel;
  dial.cancel = timer.cancel.token();
  const std::string text = "no connection to " + dial.host + " port " + std::to_string(dial.port) + " within " +
                           std::to_string(limit.count() / 1000) + " seconds: it does not answer";
  CancelSource relay = timer.cancel;
  const CancelToken::Registration registration =
      outer.OnCancel([outer, relay]() mutable { relay.Cancel(outer.status()); });
  Scope timing;
  timing.Spawn(RunDialTimer(driver, &timer, MakeStatus(absl::StatusCode::kDeadlineExceeded, text)));
  absl::StatusOr<std::unique_ptr<Channel>> channel = co_await connect(driver, std::move(dial));
  timer.over = true;
  if (timer.running) driver->Cancel(&timer.op);
  co_await timing.Join();
  co_return channel;
}

}  // namespace uringsync
