// Control transports as tests see them: a client stream, and a function that serves its other end on a thread.
//
// Use:  std::unique_ptr<ControlLink> link = MakeControlLink(ControlLinkKind::kMtls, [](AgentStream* stream) { ... });
//       std::unique_ptr<ClientStream> client = link->Open();
//
// Thread rule: the test's thread; the function runs on another one for each opened stream.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proto/control_peer.h"
#include "proto/transport.h"

namespace uringsync {

enum class ControlLinkKind { kInMemory, kSocketPair, kMtls, kMux };
std::string ControlLinkName(ControlLinkKind kind);

using AgentFunction = std::function<void(AgentStream* stream, const ControlPeer& peer)>;

class ControlLink {
 public:
  // Waits for every serving function to return.
  virtual ~ControlLink() = default;
  virtual std::unique_ptr<ClientStream> Open() = 0;
  // Cuts the connection as a killed process would; false where the kind has none.
  virtual bool Cut() { return false; }
};
std::unique_ptr<ControlLink> MakeControlLink(ControlLinkKind kind, AgentFunction serve);

}  // namespace uringsync
