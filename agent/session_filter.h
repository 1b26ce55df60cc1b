// The filter rules of a session, ready for its scan.
//
// Thread rule: functions of the shard that owns `driver`.
#pragma once

#include "absl/status/statusor.h"
#include "agent/session_handler.h"
#include "agent/session_root.h"
#include "engine/tree/scan_filter.h"
#include "proto/messages.h"

namespace uringsync {

// Compiles `open.filters` and, for a session without operands, reads what they ask for above its directory: up to the
// named root, in an agent that a command started up to "/". InvalidArgument without errno: a rule is wrong. Without
// rules the result leaves nothing out.
absl::StatusOr<ScanFilter> MakeScanFilter(Driver* driver, const AgentContext& context, const OpenSession& open,
                                          const SessionRoot& root);

// What a failure of MakeScanFilter, or of a scan, is to the run.
ErrorKind FilterErrorKind(const absl::Status& failed);

}  // namespace uringsync
