// ThreadDriver: the same operations without io_uring, for where it is refused.
//
// Sockets, polls and timers run in the shard's own loop (epoll and non-blocking calls). Small file reads and writes run
// at once on the shard; large ones, fsync and fallocate on a few pool threads. Accept leaves its listener non-blocking.
//
// Thread rule: one thread; Wake() from anywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/ring/driver.h"
#include "engine/ring/op_table.h"
#include "engine/ring/thread_pool.h"

namespace uringsync {

class ThreadDriver final : public Driver {
 public:
  // ResourceExhausted when no descriptors are left.
  static absl::StatusOr<std::unique_ptr<ThreadDriver>> Create(const DriverOptions& options);
  ~ThreadDriver() override;

  std::string_view name() const override { return "threads"; }
  void Submit(Op* op) override;
  void Cancel(Op* op) override;
  int Poll(std::chrono::nanoseconds max_wait) override;
  void Wake() override;
  long Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) override;
  // Always Unimplemented.
  absl::Status RegisterBuffer(int index, void* base, size_t size_bytes) override;
  const DriverCounters& counters() const override { return counters_; }
  size_t in_flight() const override { return table_.size(); }

 private:
  // Operations that wait for a descriptor, and whether epoll was told of it.
  struct Waits {
    std::vector<OpState*> states;
    bool known = false;
  };
  explicit ThreadDriver(const DriverOptions& options);

  void StartFileOp(OpState* state);
  void StartSocketOp(OpState* state);
  // -EAGAIN: not ready, wait for ReadinessFor(op).
  int64_t TrySocketOp(OpState* state);
  int64_t TrySocketOpOnce(const Op& op);
  int64_t StartConnect(OpState* state);
  void WaitReady(OpState* state);
  bool Arm(int fd, Waits* waits);
  void OnEvent(int fd, uint32_t events);
  void Interrupt(OpState* state);
  void ExpireDeadlines();
  void TakePoolResults();
  void WaitForEvents(std::chrono::nanoseconds max_wait);
  void Finish(OpState* state, int64_t result);

  const KernelLevel level_;
  UniqueFd epoll_fd_;
  UniqueFd wake_fd_;
  OpTable table_;
  std::unordered_map<int, Waits> waits_;  // by descriptor
  size_t waiting_ = 0;                    // operations in waits_
  size_t pooled_ = 0;                     // operations with the pool
  int completed_ = 0;                     // since the last Poll returned
  DriverCounters counters_;
  ThreadPool pool_;  // last: its workers use wake_fd_
};

}  // namespace uringsync
