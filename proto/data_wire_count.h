// Counts the elements of repeated fields in a protobuf message before it is parsed.
//
// A parser allocates an object of a hundred bytes for an element of two, so a bound on the message's length alone lets
// a small message fill the memory. Pure functions; elements are length-delimited fields. InvalidArgument for too many
// elements, and for bytes that are no protobuf message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "absl/status/status.h"
#include "engine/net/stream.h"

namespace uringsync {

struct WireCountLimit {
  int field = 0;
  size_t limit = 0;
};

// Checks fields of the message itself.
absl::Status CheckWireCounts(ConstBytes message, std::initializer_list<WireCountLimit> limits);
// Checks the number of elements reached by following `path` (field numbers, outermost first), summed over the message.
absl::Status CheckNestedWireCount(ConstBytes message, std::initializer_list<int> path, size_t limit);

}  // namespace uringsync
