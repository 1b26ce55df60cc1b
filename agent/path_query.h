// What is at the paths that a command names, for PathQuery: before a session, so that the command can decide what they
// mean.
//
// Thread rule: a coroutine of any shard.
#pragma once

#include "absl/status/statusor.h"
#include "agent/session_handler.h"
#include "engine/coro/task.h"
#include "proto/messages.h"

namespace uringsync {

// PermissionDenied for host paths where the agent serves roots only, NotFound for a root that it does not have. What is
// wrong with one path is in its row.
Task<absl::StatusOr<PathReply>> AnswerPathQuery(const AgentContext* context, PathQuery query);

// PermissionDenied, with what to do instead, unless this agent was started by the command for paths of its host.
absl::Status CheckHostPathsAllowed(const AgentContext& context);

}  // namespace uringsync
