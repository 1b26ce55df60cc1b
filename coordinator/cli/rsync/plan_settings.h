// Between command lines and plans (coordinator/core/plan_document.h): what of a command line a plan keeps, and the run
// that it means when it is carried out.
//
// Thread rule: functions; they look at the working directory.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/rsync/run_options.h"
#include "coordinator/cli/rsync/settings.h"
#include "coordinator/core/plan_document.h"

namespace uringsync {

// Fills run->plan_output where `settings` want a plan to be written; endpoints as they were written. LinkError(kUsage):
// of a listing.
absl::Status DescribePlan(const Settings& settings, const std::string& source, const std::string& destination,
                          RunOptions* run);

// The run that carries out a plan of this header and these operands, or with settings.dry_run only looks. `settings`
// (of apply, or of plan
// --show) say what is told and how it runs. request.plan is left to the caller. LinkError(kUsage): options that cannot
// be read.
absl::StatusOr<RunOptions> ToRunOptionsOfPlan(const PlanHeader& header, const std::vector<SourceOperand>& operands,
                                              const Settings& settings);

}  // namespace uringsync
