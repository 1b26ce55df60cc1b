// The filter options of a command line as the list of rules that both agents get.
//
// Thread rule: functions. They read the files that options name, and ~/.cvsignore and $CVSIGNORE for -C, with plain
// calls.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/rsync/settings.h"
#include "engine/tree/filter_text.h"

namespace uringsync {

// LinkError(kUsage) for a rule that is wrong, LinkError(kFileIo) for a file that cannot be read.
absl::StatusOr<std::vector<std::string>> ReadFilters(const Settings& settings);

// The same, each with the place where it stands.
absl::StatusOr<std::vector<ExpandedRule>> ReadFiltersWithPlaces(const Settings& settings);

// Whether the rules of the command line can be read, without those that files hold. LinkError(kUsage).
absl::Status CheckFilters(const Settings& settings);

}  // namespace uringsync
