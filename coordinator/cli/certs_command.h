// The command `certs init`: a small certificate authority and the certificates of agents and of this command.
#pragma once

#include "coordinator/cli/console.h"
#include "coordinator/cli/options.h"

namespace uringsync {

// Says what was made and kept, and how to go on. Returns the exit code: 0, 1 for a name that is no host's, 11.
int CertsCommand(const CertsOptions& options, Console* console);

}  // namespace uringsync
