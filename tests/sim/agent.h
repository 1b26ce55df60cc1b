// SimulatedAgent: the production agent's runtime, sessions and data server as a program on a simulated host, which can
// be killed, with or without its host, and started again.
//
// Thread rule: one thread at a time (scheduler.h); the methods by the history's own thread or in events.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "proto/transport.h"
#include "tests/sim/control.h"
#include "tests/sim/driver.h"
#include "tests/sim/kernel.h"
#include "tests/sim/network.h"
#include "tests/sim/scheduler.h"

namespace uringsync::sim {

// What all programs of a history share.
struct Machines {
  Scheduler* scheduler = nullptr;
  Kernel* kernel = nullptr;
  Network* network = nullptr;
  ControlNetwork* control = nullptr;
  CallWatcher* watcher = nullptr;
};

constexpr uint16_t kDataPort = 7441;

class SimulatedAgent {
 public:
  SimulatedAgent(const Machines& machines, HostId host, size_t shards)
      : machines_(machines), host_(host), shards_(shards) {}

  void Start();
  bool running() const { return running_; }
  HostId host() const { return host_; }
  ProcessId process() const { return process_; }
  // SIGKILL; with `power` the host goes too, and what was not synced with it.
  void Kill(bool power, SeededRandom* random);
  // An orderly end, waited for. The text of what was left behind; empty: nothing.
  std::string Stop();
  // Null while it does not run.
  std::unique_ptr<ClientStream> Connect(HostId from, ProcessId client);
  // Sessions that have not ended.
  size_t sessions() const { return state_ == nullptr ? 0 : state_->sessions; }
  // Until every session has ended; false when that takes longer than `limit`.
  bool AwaitIdle(Nanos limit);
  // Its descriptors once it is idle for the first time: what more there are later is a leak.
  size_t descriptors() const { return machines_.kernel->descriptors(process_); }

 private:
  // Of one life of the program.
  struct State {
    std::deque<std::unique_ptr<AgentStream>> incoming;
    bool stopping = false;
    bool listening = false;
    bool ended = false;
    size_t sessions = 0;
  };
  void Main(std::shared_ptr<State> state);

  const Machines machines_;
  const HostId host_;
  const size_t shards_;
  ProcessId process_ = 0;
  bool running_ = false;
  std::shared_ptr<State> state_;
};

}  // namespace uringsync::sim
