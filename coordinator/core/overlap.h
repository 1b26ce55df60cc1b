// Overlap: whether a source and a destination share directories, told by identity and not by name.
//
// Pure function, any thread. Roots on different kernels never overlap; where a kernel does not tell its identity nothing is known.
#pragma once

#include <optional>
#include <string>

#include "proto/messages.h"

namespace uringsync {

// Why a run between the two would eat its own tail, and the way out; nullopt where it would not. A source inside the destination is
// refused only with `deletes`: without, it is an ordinary directory of the destination.
std::optional<std::string> DescribeOverlap(const SessionOpened& source, const SessionOpened& destination, bool deletes);

}  // namespace uringsync
