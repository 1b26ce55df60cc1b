// For how long a run rides out a lost connection to an agent, and when an agent that says nothing counts as lost.
//
// Thread rule: a pure function. Use:  spec.reconnecting = ReconnectingFor(options.idle_timeout);
#pragma once

#include "absl/time/time.h"
#include "proto/grpc_control.h"

namespace uringsync {

// `idle_timeout`: what was asked for with --timeout; infinite: nothing.
Reconnecting ReconnectingFor(absl::Duration idle_timeout);

}  // namespace uringsync
