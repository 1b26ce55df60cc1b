// JoinScope: a Scope's join as a task, for threads that are no shard and wait for it with BlockOn.
//
// Use:  BlockOn(&runtime->shard(0), JoinScope(&scope));
#pragma once

#include "engine/coro/scope.h"
#include "engine/coro/task.h"

namespace uringsync {

inline Task<void> JoinScope(Scope* scope) {
  co_await scope->Join();
}

}  // namespace uringsync
