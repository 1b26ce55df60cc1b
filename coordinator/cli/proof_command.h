// The commands prove and verify --proof: a tree is written down, or compared with what was written down.
#pragma once

#include "coordinator/cli/options.h"
#include "coordinator/cli/program.h"

namespace uringsync {

// Runs to the end and returns the exit code. On the main thread, before any other thread of the program was started.
int ProofCommand(ProofOptions options, const Program& program);

}  // namespace uringsync
