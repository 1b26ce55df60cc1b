// ControlNetwork: control streams between simulated hosts, with the transport's contract (proto/transport.h): whole
// messages in order, late by what the network says; cut, or silent for good where a host has lost its power.
//
// Messages travel encoded, as over gRPC. Thread rule: one thread at a time (scheduler.h).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proto/transport.h"
#include "tests/sim/network.h"
#include "tests/sim/scheduler.h"

namespace uringsync::sim {

// One direction of one stream.
struct ControlLane {
  struct Letter {
    Nanos arrival;
    std::string bytes;
  };
  HostId from = 0;
  HostId to = 0;
  std::deque<Letter> letters;
  Nanos last_arrival = 0;
  bool ended = false;    // the sender is through
  bool refused = false;  // the receiver takes no more
  bool broken = false;
};

struct ControlConnection {
  ControlLane to_agent;
  ControlLane to_client;
  ProcessId client = 0;
  ProcessId agent = 0;
  void Break(Scheduler* scheduler);
};

class ControlNetwork {
 public:
  ControlNetwork(Scheduler* scheduler, Weather* weather) : scheduler_(scheduler), weather_(weather) {}

  using Pair = std::pair<std::unique_ptr<ClientStream>, std::unique_ptr<AgentStream>>;
  Pair Connect(HostId client_host, ProcessId client, HostId agent_host, ProcessId agent);
  void Cut(HostId a, HostId b);
  void ProcessDied(ProcessId process, bool silent);

  // Planted: what went wrong is not told.
  void LoseProblems() { loses_problems_ = true; }
  bool loses_problems() const { return loses_problems_; }
  // Called with every message of an agent as it is sent, in its thread.
  void OnAgentMessage(std::function<void(ProcessId agent, const AgentMessage& message)> told) {
    told_ = std::move(told);
  }
  void Tell(ProcessId agent, const AgentMessage& message) {
    if (told_) told_(agent, message);
  }

  Scheduler* scheduler() const { return scheduler_; }
  Weather* weather() const { return weather_; }

 private:
  Scheduler* const scheduler_;
  Weather* const weather_;
  std::vector<std::weak_ptr<ControlConnection>> connections_;
  bool loses_problems_ = false;
  std::function<void(ProcessId, const AgentMessage&)> told_;
};

}  // namespace uringsync::sim
