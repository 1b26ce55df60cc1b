// The text at the beginning of a plan document (plan_document.h).
//
// Thread rule: free functions.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "coordinator/core/plan_document.h"

namespace uringsync {

// Everything up to and with the empty line.
std::string PlanHeaderText(const PlanHeader& header);

// The header of such a text. NotFound: it is none; Unimplemented: another format; DataLoss: a line that PlanHeaderText
// does not write.
absl::StatusOr<PlanHeader> ParsePlanHeader(std::string_view text);

}  // namespace uringsync
