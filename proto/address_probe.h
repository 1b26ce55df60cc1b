// ProbeAddress: whether anybody accepts connections at an address, seen by TCP alone.
//
// Thread rule: blocks the calling thread, which is no shard's.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace uringsync {

// OK: a connection came about, and was closed at once. Otherwise why none did, with the errno where there is one (that
// of the last address): ECONNREFUSED says that the host is there and nobody listens. DeadlineExceeded after `limit`.
absl::Status ProbeAddress(const std::string& host, uint16_t port, std::chrono::milliseconds limit);

}  // namespace uringsync
