// The command `doctor`: shows the findings of coordinator/cli/doctor.h.
#pragma once

#include <string>
#include <vector>

#include "coordinator/cli/console.h"
#include "coordinator/cli/doctor.h"
#include "coordinator/cli/options.h"

namespace uringsync {

// 0: nothing is bad; 23: something is. Notes do not change the exit code.
int DoctorCommand(const DoctorOptions& options, Console* console);

// A line a finding, its advice indented below it.
std::vector<std::string> RenderDoctorText(const std::vector<Finding>& findings);
// One JSON object (docs/json.md, "doctor").
std::string RenderDoctorJson(const std::vector<Finding>& findings);

}  // namespace uringsync
