// The commands about plans that were made before: apply, and plan --show.
#pragma once

#include "coordinator/cli/options.h"
#include "coordinator/cli/program.h"

namespace uringsync {

// Carries out the plan, as RunCommand. Exit 1 for a file that is no plan of ours, 11 for one that is damaged or cannot
// be read.
int ApplyCommand(const PlanFileOptions& options, const Program& program);

// Lists the plan as `uringsync plan` lists what it finds; nothing but the file is looked at.
int ShowPlanCommand(const PlanFileOptions& options, const Program& program);

}  // namespace uringsync
