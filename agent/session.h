// SessionRunner: one control stream from Hello to its end; the agent's side of a sync.
//
// A stream carries one session, source or destination (agent/source_session.h, agent/destination_session.h). This class
// does what both share: handshake, the root, the order of messages, the writer thread, and the end.
//
// Thread rule: Run blocks its calling thread (never a shard's); many at once.
#pragma once

#include "agent/lock_holders.h"
#include "agent/opening_watch.h"
#include "agent/operand_budget.h"
#include "agent/session_handler.h"

namespace uringsync {

class SessionRunner final : public SessionHandler {
 public:
  explicit SessionRunner(AgentContext context, OpeningLimits limits = {})
      : context_(std::move(context)), limits_(limits) {}
  absl::Status Run(AgentStream* stream, const ControlPeer& peer, CancelToken shutdown) override;

 private:
  absl::Status Serve(const AgentContext& context, AgentStream* stream, const ControlPeer& peer, CancelToken shutdown);

  const AgentContext context_;
  const OpeningLimits limits_;
  OperandBudget operands_;
  LockHolders lock_holders_;
};

}  // namespace uringsync
