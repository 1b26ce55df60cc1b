// PeerDials: the way that data connections of one session take to the peer: to an address, under this agent's
// certificate or a run's one-time keys, or over the channel of a remote shell.
//
// Direct connections are tried first where the session's route asks for them; the first one that cannot be made gives
// that up for the session, once told, and the shell's channel carries what is dialled from then on. Connections that
// exist go on.
//
// Thread rule: any shard of the session.
// Use:  PeerDials dials(context, {.host = host, .port = port, .direct = true}, [this](std::string text) { Tell(text);
// });
//       while (dials.Fill(shard, &dial)) { channel = co_await DialWithin(driver, dial, dials.limit(),
//       DialRequestChannel);
//                                          if (!channel.ok() && dials.Retreat(dial, channel.status())) continue; ... }
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "agent/session_handler.h"
#include "proto/data_stream.h"
#include "proto/messages.h"

namespace uringsync {

// A direct connection that takes longer is not worth waiting for: the shell's channel is there.
constexpr std::chrono::seconds kDirectDialLimit{5};

class PeerDials {
 public:
  // `tell` is called at most once, on any shard. What `context` points to outlives this object.
  PeerDials(const AgentContext& context, const ConnectData& where, std::function<void(std::string)> tell);
  PeerDials(const PeerDials&) = delete;
  PeerDials& operator=(const PeerDials&) = delete;

  const std::string& host() const { return where_.host; }
  // How many of the session's `all` shards dial: streams of a shell's channel belong to shard 0.
  size_t Shards(size_t all) const;
  // Where to, and with which certificate; hello and cancel are the caller's. False: from this shard nothing is dialled
  // any more.
  bool Fill(size_t shard, DataDial* dial) const;
  // For DialWithin, of what Fill gave last.
  std::chrono::milliseconds limit(const DataDial& dial) const;
  // After a dial that failed: true when it was direct, and another way is to be tried at once.
  bool Retreat(const DataDial& dial, const absl::Status& why);

 private:
  const AgentContext& context_;
  const ConnectData where_;
  const std::function<void(std::string)> tell_;
  std::shared_ptr<const TlsContext> direct_tls_;  // null: not asked for
  std::atomic<bool> retreated_ = false;
};

}  // namespace uringsync
