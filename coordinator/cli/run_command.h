// The commands sync, plan, verify and apply: links, run, report.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "coordinator/cli/options.h"
#include "coordinator/cli/program.h"
#include "coordinator/cli/reporter.h"
#include "coordinator/cli/ursync_operands.h"
#include "coordinator/link/links.h"

namespace uringsync {

// Runs to the end and returns the exit code. The first SIGINT or SIGTERM ends the run in good order (temporaries
// removed, exit 20), the next one ends the program at once. On the main thread, before any other thread of the program
// was started. `settle`, if there is one, comes between the links and the run. Where a remote shell finds no agent at
// its host, `no_agent`, if it is given, gets why, and nothing is told: the caller may know another way.
int RunCommand(RunOptions options, const Program& program, const SettleRun& settle = {},
               std::string* no_agent = nullptr);

// Tells that there is nothing to run, and why: with what is said of its list where that was made. Returns the exit
// code.
int EndRun(const OperandsEnd& end, const Program& program);

// What a reporter of this run has to know.
ReportFacts FactsOf(const RunOptions& options, const Program& program);

// How its agents are reached; `warn` gets lines of remote shells and of the private agent, escaped, on any thread.
LinkOptions LinkOptionsOf(const RunOptions& options, const Program& program,
                          std::function<void(std::string_view)> warn);

}  // namespace uringsync
