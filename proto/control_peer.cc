#include "proto/control_peer.h"

#include "engine/base/escape.h"

namespace uringsync {

std::string ControlPeer::Describe() const {
  if (is_private) return "private";
  return EscapeName(identities.empty() ? address : identities.front());
}

}  // namespace uringsync
