// The commands `certs init` and `certs revoke`: a small certificate authority, the certificates of agents and of this
// command, and the list of those that are no longer good.
#pragma once

#include "coordinator/cli/console.h"
#include "coordinator/cli/options.h"

namespace uringsync {

// Says what was made and kept, and how to go on. Returns the exit code: 0, 1 for a name that is no host's, 11.
int CertsCommand(const CertsOptions& options, Console* console);

}  // namespace uringsync
