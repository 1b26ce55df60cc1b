// SimulatedDriver: the Driver of one shard of a simulated program. Calls are answered by the simulated kernel; an
// operation happens some time after it was submitted, and its completion arrives in an order that the seed draws.
//
// Thread rule: as Driver.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/ring/driver.h"
#include "tests/sim/kernel.h"
#include "tests/sim/network.h"
#include "tests/sim/scheduler.h"

namespace uringsync::sim {

// What a history does to the calls of its programs.
class CallWatcher {
 public:
  virtual ~CallWatcher() = default;
  // Before each of them. 0: it is made; -errno: that, and nothing is done; kSilentEnd: nothing is done, and 0 is said.
  // May kill the caller, and not return then.
  static constexpr int kSilentEnd = 1;
  virtual int BeforeCall(ProcessId process, CallCode code) = 0;
  virtual int BeforeOp(ProcessId process, const Op& op) = 0;
};

class SimulatedDriver final : public Driver {
 public:
  SimulatedDriver(Scheduler* scheduler, Kernel* kernel, Network* network, CallWatcher* watcher);
  ~SimulatedDriver() override;

  std::string_view name() const override { return "simulated"; }
  void Submit(Op* op) override;
  void Cancel(Op* op) override;
  int Poll(std::chrono::nanoseconds max_wait) override;
  void Wake() override;
  long Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) override;
  absl::Status RegisterBuffer(int, void*, size_t) override { return absl::UnimplementedError("simulated"); }
  const DriverCounters& counters() const override { return counters_; }
  size_t in_flight() const override { return in_flight_; }

 private:
  struct Pending {
    Op* op = nullptr;
    bool done = false;
  };
  using PendingPtr = std::shared_ptr<Pending>;
  void StartFileOp(const PendingPtr& pending, int error);
  void StartSocketOp(const PendingPtr& pending);
  void Advance(const PendingPtr& pending, const SocketPtr& socket);
  int64_t TrySocketOp(Op* op, const SocketPtr& socket);
  void Complete(const PendingPtr& pending, int64_t result);
  bool alive() const { return scheduler_->alive(process_); }
  Nanos Latency();

  Scheduler* const scheduler_;
  Kernel* const kernel_;
  Network* const network_;
  CallWatcher* const watcher_;
  const ProcessId process_;
  Nanos disk_latency_;
  uint64_t short_per_mille_;
  DriverCounters counters_;
  size_t in_flight_ = 0;
  std::vector<Op*> completed_;
  std::vector<PendingPtr> pending_;
  bool woken_ = false;
};

}  // namespace uringsync::sim
