// The far end of a remote shell, started under the command's name: scripts that name `ursync` with --rsync-path find it
// so.
#pragma once

#include "coordinator/cli/program.h"

namespace uringsync {

// True for a command line whose first word is --stdio.
bool AsksForStdio(int argc, const char* const* argv);
// Replaces this process by the agent beside it, with the same arguments. Returns only on failure: what to exit with,
// 127 as a shell's where there is no agent, after a line on standard error.
int BecomeStdioAgent(int argc, const char* const* argv, const Program& program);

}  // namespace uringsync
