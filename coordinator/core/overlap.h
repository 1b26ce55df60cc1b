// Overlap: whether a source and a destination share directories, told by identity and not by name.
//
// Pure function, any thread. Roots on different kernels never overlap; where a kernel does not tell its identity
// nothing is known.
#pragma once

#include <optional>
#include <string>

#include "proto/messages.h"

namespace uringsync {

struct OverlapRules {
  bool deletes = false;  // else a source inside the destination is an ordinary directory of it
  bool hidden = false;   // a destination inside the source is not in the transfer
};

// Why a run between the two would eat its own tail, and the way out; nullopt where it would not.
std::optional<std::string> DescribeOverlap(const SessionOpened& source, const SessionOpened& destination,
                                           const OverlapRules& rules);

}  // namespace uringsync
