// What a coordinator says between its greeting and the session: questions about paths, OpenSession, and the operands
// that follow it.
//
// Thread rule: the session's thread, which is no shard's; blocks.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "agent/opening_watch.h"
#include "agent/operand_budget.h"
#include "agent/session_handler.h"
#include "proto/messages.h"

namespace uringsync {

// The session that is asked for, with all its operands; nullopt where the coordinator left without one. An error ends
// the stream, and the coordinator has been told why. `charge`: for the operands; it lasts as long as they do.
absl::StatusOr<std::optional<OpenSession>> AwaitOpenSession(const AgentContext& context, AgentStream* stream,
                                                            OpeningWatch* watch, OperandBudget::Charge* charge);

}  // namespace uringsync
