// What is said of a basis directory that cannot be used; the run goes on without it. Thread rule: none.
#pragma once

#include <string>
#include <string_view>

#include "coordinator/core/planner.h"

namespace uringsync {

// `use`: what it was to be used for; `shown`: as it was written, not escaped; `missing`: it is not there, and otherwise
// it is no directory, or cannot be looked at.
inline std::string UnusableBasis(BasisUse use, std::string_view shown, bool missing) {
  const char* option = use == BasisUse::kCompare ? "--compare-dest"
                       : use == BasisUse::kCopy  ? "--copy-dest"
                                                 : "--link-dest";
  return std::string(option) + (missing ? " arg does not exist: " : " arg is not a dir: ") + std::string(shown);
}

}  // namespace uringsync
