#include "proto/control_peer.h"

#include <algorithm>

#include "engine/base/escape.h"

namespace uringsync {

std::string ControlPeer::Names() const {
  std::vector<std::string> names = identities;
  std::sort(names.begin(), names.end());
  std::string all;
  for (const std::string& name : names) all += name + "\n";
  return all;
}

std::string ControlPeer::Describe() const {
  if (is_private) return "private";
  return EscapeName(identities.empty() ? address : identities.front());
}

}  // namespace uringsync
