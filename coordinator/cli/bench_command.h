// The command bench: measures a pair of endpoints and says what limits a sync between them.
#pragma once

#include "coordinator/cli/options.h"
#include "coordinator/cli/program.h"

namespace uringsync {

// The exit code.
int BenchCommand(BenchOptions options, const Program& program);

}  // namespace uringsync
