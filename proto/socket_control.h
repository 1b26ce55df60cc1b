// Control streams over a connected stream socket of this host: what lies between a command or an agent and the mux of a
// remote shell (docs/protocol-shell.md).
//
//   record = length:u32 message      (little-endian; length 0: the orderly end, nothing follows)
//
// Thread rule: as proto/transport.h; Send may even be called by several threads.
// Use:  std::unique_ptr<ClientStream> stream = MakeSocketClientStream(std::move(socket), "user@host");
#pragma once

#include <memory>
#include <string>

#include "engine/base/unique_fd.h"
#include "proto/transport.h"

namespace uringsync {

// `peer` is for messages. The client's destructor ends its side in order and gives the agent up to two seconds to end
// its own; the agent's only ends its side.
std::unique_ptr<ClientStream> MakeSocketClientStream(UniqueFd socket, std::string peer);
std::unique_ptr<AgentStream> MakeSocketAgentStream(UniqueFd socket, std::string peer);

}  // namespace uringsync
