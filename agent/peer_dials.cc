#include "agent/peer_dials.h"

#include <utility>

#include "agent/direct_data.h"
#include "agent/timed_dial.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/tls_identity.h"

namespace uringsync {

PeerDials::PeerDials(const AgentContext& context, const ConnectData& where, std::function<void(std::string)> tell)
    : context_(context), where_(where), tell_(std::move(tell)) {
  if (where_.direct && context_.direct != nullptr && context_.open_peer) direct_tls_ = context_.direct->tls();
}

size_t PeerDials::Shards(size_t all) const {
  return context_.open_peer && direct_tls_ == nullptr ? 1 : all;
}

bool PeerDials::Fill(size_t shard, DataDial* dial) const {
  dial->host = where_.host;
  dial->port = where_.port;
  if (direct_tls_ != nullptr && !retreated_.load()) {
    dial->tls = direct_tls_;
    dial->tls_host = kOneTimeName;
    return true;
  }
  dial->open = context_.open_peer;
  if (context_.data_client_tls != nullptr) dial->tls = context_.data_client_tls->current();
  return shard == 0 || !context_.open_peer;
}

std::chrono::milliseconds PeerDials::limit(const DataDial& dial) const {
  const bool direct = direct_tls_ != nullptr && !dial.open;
  return direct ? kDirectDialLimit : kDialLimit;
}

bool PeerDials::Retreat(const DataDial& dial, const absl::Status& why) {
  if (direct_tls_ == nullptr || dial.open) return false;
  if (!retreated_.exchange(true)) {
    tell_("no direct connection to " + EscapeName(where_.host) + " port " + std::to_string(where_.port) + " (" +
          std::string(ToStd(why.message())) + "): contents go through the remote shell");
  }
  return true;
}

}  // namespace uringsync
