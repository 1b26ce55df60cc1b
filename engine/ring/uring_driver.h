// UringDriver: operations through an io_uring of the shard's own.
//
// Submissions are queued and go to the kernel together in Poll (or early, when the queue is full). Time-outs live in a
// heap of the driver's own and end in a cancel; timers live in the same heap and never reach the kernel. Results that
// ask for another try never leave: EINTR is issued again, EAGAIN of a socket waits on a poll first, EAGAIN of a file
// goes to a worker.
//
// Thread rule: created, used and destroyed by one thread (SINGLE_ISSUER); Wake() from anywhere.
#pragma once

#include <liburing.h>

#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/ring/driver.h"
#include "engine/ring/op_table.h"
#include "engine/ring/probe.h"

namespace uringsync {

class UringDriver final : public Driver {
 public:
  // For the calling thread. The error names cause and fix in one line.
  static absl::StatusOr<std::unique_ptr<UringDriver>> Create(const DriverOptions& options);
  ~UringDriver() override;

  std::string_view name() const override { return "uring"; }
  void Submit(Op* op) override;
  void Cancel(Op* op) override;
  int Poll(std::chrono::nanoseconds max_wait) override;
  void Wake() override;
  long Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) override;
  absl::Status RegisterBuffer(int index, void* base, size_t size_bytes) override;
  const DriverCounters& counters() const override { return counters_; }
  size_t in_flight() const override { return table_.size(); }
  const RingFeatures& features() const { return features_; }

 private:
  explicit UringDriver(KernelLevel level) : level_(level) {}

  // Submission.
  io_uring_sqe* GetSqe();
  bool Issue(OpState* state);
  void PrepareOp(io_uring_sqe* sqe, const Op& op);
  void PrepareReadWrite(io_uring_sqe* sqe, const Op& op);
  void SubmitQueued();
  void FlushBacklog();
  void ArmWake();
  void Interrupt(OpState* state);
  void Wait(std::chrono::nanoseconds max_wait);

  // Completion.
  void Reap(uint64_t inline_sequence);
  void ReapDeferred();
  void OnCompletion(uint64_t token, int result, uint64_t inline_sequence);
  void OnIssuedDone(OpState* state, int result, uint64_t inline_sequence);
  void OnReady(OpState* state, int result);
  void OnCancelDone(uint64_t token, int result);
  void OnWake();
  void ExpireDeadlines();
  void Requeue(OpState* state);
  void Pause(OpState* state);
  void Count(const OpState& state, uint64_t inline_sequence);
  void Finish(OpState* state, int64_t result);

  const KernelLevel level_;
  io_uring ring_{};
  bool ring_ready_ = false;
  RingFeatures features_;
  UniqueFd wake_fd_;
  uint64_t wake_value_ = 0;  // the armed read of wake_fd_ lands here
  bool wake_armed_ = false;
  OpTable table_;
  std::deque<OpState*> backlog_;  // phase kQueued: to be issued by the next Poll
  uint64_t enter_sequence_ = 0;   // of the last io_uring_enter that submitted
  bool file_ops_queued_ = false;  // the submission queue holds operations whose hand-off is counted
  int completed_ = 0;             // since the last Poll returned
  bool buffer_table_ = false;
  std::vector<bool> registered_;
  DriverCounters counters_;
};

}  // namespace uringsync
