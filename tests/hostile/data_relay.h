// DataRelay: stands on the way of data connections, with TLS to both sides, and tells one lie in their frames.
//
// Thread rule: made and destroyed on one thread; it has threads of its own, which end with the process.
#pragma once

#include <cstdint>
#include <string>

#include "tests/hostile/lies.h"

namespace uringsync::hostile {

struct RelayFiles {
  std::string cert;
  std::string key;
  std::string ca;
};

// Listens on a free port of 127.0.0.1, which it returns, for connections to `port` there. `lie` may be null. Ends the
// process with a message where it cannot.
uint16_t StartDataRelay(const RelayFiles& files, uint16_t port, const DataLie* lie);

}  // namespace uringsync::hostile
