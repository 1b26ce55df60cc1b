// App: from a command line to an exit code.
#pragma once

#include "coordinator/cli/program.h"

namespace uringsync {

// Parses, runs the command, returns the exit code. Usage errors are shown on standard error (exit 1).
int RunApp(int argc, const char* const* argv, const Program& program);

}  // namespace uringsync
