// The command explain: a plan of the whole run, of which it tells of some paths why.
#pragma once

#include "coordinator/cli/options.h"
#include "coordinator/cli/program.h"

namespace uringsync {

// Tells of each path and returns the exit code: 0 when all were found on either side, 23 when one was not; others as of
// a plan.
int ExplainCommand(ExplainOptions options, const Program& program);

}  // namespace uringsync
