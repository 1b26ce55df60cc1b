// ursync: the program under rsync's command line.
#pragma once

#include "coordinator/cli/program.h"

namespace uringsync {

// Reads the arguments, runs to the end, and returns rsync's exit code. Where something is asked for that cannot be done
// and `program.fallback` names a program, that one is run in place of this one, with the same arguments.
int UrsyncCommand(int argc, const char* const* argv, const Program& program);

}  // namespace uringsync
