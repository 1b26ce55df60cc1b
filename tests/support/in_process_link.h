// InProcessLink: one control stream to an agent in this process that serves its starter, and the thread that serves it.
//
// Header only: who uses it links the agent.
// Use:  InProcessLink source(context);  InProcessLink destination(context);
//       RunSync(request, *source.client, *destination.client, observer);
#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "agent/session.h"
#include "proto/handshake.h"

namespace uringsync {

class InProcessLink {
 public:
  explicit InProcessLink(const AgentContext& context) {
    auto pair = MakeInMemoryControlPair(64);
    client = std::move(pair.first);
    server_ = std::move(pair.second);
    thread_ = std::thread([this, context] {
      ControlPeer peer;
      peer.is_private = true;
      static_cast<void>(SessionRunner(context).Run(server_.get(), peer, shutdown_.token()));
      server_->Close();
    });
  }
  ~InProcessLink() {
    client->Close();
    thread_.join();
  }
  InProcessLink(const InProcessLink&) = delete;
  InProcessLink& operator=(const InProcessLink&) = delete;

  std::unique_ptr<ClientStream> client;

 private:
  std::unique_ptr<AgentStream> server_;
  CancelSource shutdown_;
  std::thread thread_;
};

}  // namespace uringsync
