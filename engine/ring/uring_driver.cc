#include "engine/ring/uring_driver.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/ring/op_traits.h"
#include "engine/ring/system_call.h"

namespace uringsync {
namespace {

// Tokens of operations have the top bit clear (op_table.h). LIBURING_UDATA_TIMEOUT is all ones.
constexpr uint64_t kCancelBit = uint64_t{1} << 63;
constexpr uint64_t kWakeToken = kCancelBit | 0x7FFFFFFFFFFFFF00;

// A wait this long is for ever: it saves the kernel's timer.
constexpr std::chrono::hours kForever{24};
// How often an enter that the kernel refuses for lack of memory is tried before the queue is left to the next Poll.
constexpr int kSubmitTries = 8;
// Pause before a cancel that found its operation between two states is asked again, and before an operation that cannot
// wait for readiness is tried again.
constexpr std::chrono::milliseconds kRetryPause{1};
// linux/ioprio.h; not in every libc's headers.
constexpr uint16_t kIoprioIdle = 3 << 13;
constexpr unsigned kBufferTableSlots = 256;

[[noreturn]] void Broken(const char* what, int err) {
  std::fprintf(stderr, "uringsync: io_uring: %s: %s\n", what, std::string(ErrnoStatus(err, "enter").message()).c_str());
  std::abort();
}

}  // namespace

absl::StatusOr<std::unique_ptr<UringDriver>> UringDriver::Create(const DriverOptions& options) {
  std::unique_ptr<UringDriver> driver(new UringDriver(options.level));
  US_ASSIGN_OR_RETURN(driver->features_, SetUpRing(options, &driver->ring_));
  driver->ring_ready_ = true;
  // Blocking on purpose: the ring would return EAGAIN for a non-blocking descriptor instead of waiting.
  driver->wake_fd_.Reset(::eventfd(0, EFD_CLOEXEC));
  if (!driver->wake_fd_.valid()) return ExplainRingFailure("eventfd", errno);
  return driver;
}

UringDriver::~UringDriver() {
  if (table_.size() > 0) {
    std::fputs("uringsync: a driver was destroyed with operations in flight\n", stderr);
    std::abort();
  }
  if (ring_ready_) io_uring_queue_exit(&ring_);
}

void UringDriver::Submit(Op* op) {
  OpState* state = table_.Add(op);
  ++counters_.submitted[static_cast<size_t>(op->code)];
  if (op->timeout.count() > 0) {
    state->limit = std::chrono::steady_clock::now() + op->timeout;
    table_.SetDeadline(state, state->limit);
  }
  if (op->code == OpCode::kTimeout) {
    state->phase = OpState::Phase::kSleeping;
    if (op->timeout.count() <= 0) Finish(state, 0);
    return;
  }
  // First come, first served: nothing overtakes what waits for room in the queue.
  if (!backlog_.empty() || !Issue(state)) Requeue(state);
}

void UringDriver::Cancel(Op* op) {
  auto* state = static_cast<OpState*>(op->driver_state);
  if (state == nullptr || state->cancel_requested) return;
  state->cancel_requested = true;
  Interrupt(state);
}

void UringDriver::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the wake-up is pending anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_.get(), &one, sizeof(one));
}

long UringDriver::Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) {
  ++counters_.calls[static_cast<size_t>(code)];
  return SystemCall(level_, code, a0, a1, a2, a3, a4, a5);
}

int UringDriver::Poll(std::chrono::nanoseconds max_wait) {
  ExpireDeadlines();
  FlushBacklog();
  Reap(0);
  // Operations on files are submitted without waiting: only so can be told which of them the kernel handed to a worker.
  const bool may_wait = max_wait.count() > 0 && completed_ == 0;
  if (io_uring_sq_ready(&ring_) > 0 && (file_ops_queued_ || !may_wait)) SubmitQueued();
  ReapDeferred();
  if (completed_ == 0 && backlog_.empty() && max_wait.count() > 0) {
    Wait(max_wait);
    ExpireDeadlines();
  }
  return std::exchange(completed_, 0);
}

void UringDriver::Wait(std::chrono::nanoseconds max_wait) {
  ArmWake();
  if (completed_ > 0) return;
  const std::chrono::nanoseconds wait = WaitUntil(table_.NextDeadline(), max_wait);
  const bool submits = io_uring_sq_ready(&ring_) > 0;
  if (submits) ++enter_sequence_;
  ++counters_.enters;
  io_uring_cqe* cqe = nullptr;
  __kernel_timespec time{.tv_sec = wait.count() / 1'000'000'000, .tv_nsec = wait.count() % 1'000'000'000};
  const int result =
      io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, wait >= kForever ? nullptr : &time, /*sigmask=*/nullptr);
  if (result < 0 && result != -ETIME && result != -EINTR && result != -EAGAIN && result != -EBUSY)
    Broken("submit and wait", -result);
  Reap(submits ? enter_sequence_ : 0);
}

void UringDriver::SubmitQueued() {
  for (int tries = 0; io_uring_sq_ready(&ring_) > 0 && tries < kSubmitTries;) {
    ++enter_sequence_;
    ++counters_.enters;
    const int result = io_uring_submit(&ring_);
    if (result < 0) {
      // EBUSY: completions overflow and must be taken first. EAGAIN: no memory for requests until some have ended.
      if (result != -EINTR && result != -EAGAIN && result != -EBUSY) Broken("submit", -result);
      ++tries;
      io_uring_get_events(&ring_);
    }
    Reap(enter_sequence_);
  }
  if (io_uring_sq_ready(&ring_) == 0) file_ops_queued_ = false;
}

io_uring_sqe* UringDriver::GetSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe != nullptr) return sqe;
  SubmitQueued();
  return io_uring_get_sqe(&ring_);
}

bool UringDriver::Issue(OpState* state) {
  const uint64_t token = state->token();
  io_uring_sqe* sqe = GetSqe();
  if (sqe == nullptr) return false;
  if (std::exchange(state->needs_poll, false)) {
    state->phase = OpState::Phase::kPolling;
    io_uring_prep_poll_add(sqe, state->op->fd, ReadinessFor(*state->op));
  } else {
    state->phase = OpState::Phase::kIssued;
    PrepareOp(sqe, *state->op);
    if (state->force_worker) sqe->flags |= IOSQE_ASYNC;
    if (IsFileOp(state->op->code)) file_ops_queued_ = true;
  }
  // The library's prep functions clear user_data.
  sqe->user_data = token;
  state->enter_sequence = enter_sequence_ + 1;
  return true;
}

void UringDriver::PrepareOp(io_uring_sqe* sqe, const Op& op) {
  // Without fast poll a socket that is not ready would block a worker; then it must say EAGAIN and be polled.
  const int dont_wait = features_.fast_poll ? 0 : MSG_DONTWAIT;
  const int message_flags = static_cast<int>(op.flags) | MSG_NOSIGNAL | dont_wait;
  switch (op.code) {
    case OpCode::kRead:
    case OpCode::kWrite:
      PrepareReadWrite(sqe, op);
      if (op.background) sqe->ioprio = kIoprioIdle;
      break;
    case OpCode::kFsync:
      io_uring_prep_fsync(sqe, op.fd, (op.flags & kFsyncDataOnly) != 0 ? IORING_FSYNC_DATASYNC : 0);
      break;
    case OpCode::kFallocate:
      io_uring_prep_fallocate(sqe, op.fd, static_cast<int>(op.flags), static_cast<off_t>(op.offset),
                              static_cast<off_t>(op.length64));
      break;
    case OpCode::kAccept: io_uring_prep_accept(sqe, op.fd, nullptr, nullptr, SOCK_CLOEXEC); break;
    case OpCode::kConnect: io_uring_prep_connect(sqe, op.fd, op.address, op.address_length); break;
    case OpCode::kSend: io_uring_prep_send(sqe, op.fd, op.buffer, op.length, message_flags); break;
    case OpCode::kRecv: io_uring_prep_recv(sqe, op.fd, op.buffer, op.length, message_flags); break;
    case OpCode::kReadPipe: io_uring_prep_read(sqe, op.fd, op.buffer, op.length, 0); break;
    case OpCode::kWritePipe:
      io_uring_prep_writev(sqe, op.fd, static_cast<const iovec*>(op.buffer), op.length, 0);
      break;
    case OpCode::kPoll: io_uring_prep_poll_add(sqe, op.fd, op.flags); break;
    case OpCode::kNop:
    case OpCode::kTimeout:
    case OpCode::kCount: io_uring_prep_nop(sqe); break;
  }
}

void UringDriver::PrepareReadWrite(io_uring_sqe* sqe, const Op& op) {
  const auto index = static_cast<size_t>(op.registered_buffer);
  const bool fixed = op.registered_buffer >= 0 && index < registered_.size() && registered_[index];
  if (op.code == OpCode::kRead) {
    if (fixed) {
      io_uring_prep_read_fixed(sqe, op.fd, op.buffer, op.length, op.offset, op.registered_buffer);
    } else {
      io_uring_prep_read(sqe, op.fd, op.buffer, op.length, op.offset);
    }
  } else if (fixed) {
    io_uring_prep_write_fixed(sqe, op.fd, op.buffer, op.length, op.offset, op.registered_buffer);
  } else {
    io_uring_prep_write(sqe, op.fd, op.buffer, op.length, op.offset);
  }
}

void UringDriver::FlushBacklog() {
  // Bounded by what is there now: an operation that comes back at once waits for the next Poll.
  for (size_t left = backlog_.size(); left > 0; --left) {
    OpState* state = backlog_.front();
    backlog_.pop_front();
    if (Issue(state)) continue;
    backlog_.push_front(state);
    return;
  }
}

void UringDriver::ArmWake() {
  if (wake_armed_) return;
  io_uring_sqe* sqe = GetSqe();
  if (sqe == nullptr) return;
  if (features_.fast_poll) {
    io_uring_prep_read(sqe, wake_fd_.get(), &wake_value_, sizeof(wake_value_), 0);
  } else {
    io_uring_prep_poll_add(sqe, wake_fd_.get(), POLLIN);
  }
  sqe->user_data = kWakeToken;
  wake_armed_ = true;
}

// Makes an operation that was cancelled or timed out end soon.
void UringDriver::Interrupt(OpState* state) {
  if (state->phase == OpState::Phase::kQueued) std::erase(backlog_, state);
  if (state->phase == OpState::Phase::kQueued || state->phase == OpState::Phase::kSleeping) {
    Finish(state, FinalResult(*state, -ECANCELED));
    return;
  }
  const uint64_t token = state->token();
  io_uring_sqe* sqe = GetSqe();
  if (table_.Find(token) == nullptr) {
    // Ended while room was made for the cancel; the entry must not go to the kernel half filled.
    if (sqe != nullptr) {
      io_uring_prep_nop(sqe);
      sqe->user_data = kCancelBit | token;
    }
    return;
  }
  if (sqe == nullptr) {
    table_.SetDeadline(state, std::chrono::steady_clock::now() + kRetryPause);
    return;
  }
  table_.ClearDeadline(state);
  io_uring_prep_cancel64(sqe, token, 0);
  sqe->user_data = kCancelBit | token;
}

void UringDriver::Reap(uint64_t inline_sequence) {
  unsigned head = 0;
  unsigned taken = 0;
  io_uring_cqe* cqe = nullptr;
  // Handlers only fill the backlog, so nothing below enters the kernel while the completion queue is walked.
  io_uring_for_each_cqe(&ring_, head, cqe) {
    OnCompletion(cqe->user_data, cqe->res, inline_sequence);
    ++taken;
  }
  io_uring_cq_advance(&ring_, taken);
}

// Completions that are there but not in the queue yet: behind deferred task work, or in the kernel's overflow list.
void UringDriver::ReapDeferred() {
  const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_ACQUIRE);
  if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0) return;
  ++counters_.enters;
  io_uring_get_events(&ring_);
  Reap(0);
}

void UringDriver::OnCompletion(uint64_t token, int result, uint64_t inline_sequence) {
  if (token == LIBURING_UDATA_TIMEOUT) return;
  if (token == kWakeToken) return OnWake();
  if ((token & kCancelBit) != 0) return OnCancelDone(token & ~kCancelBit, result);
  OpState* state = table_.Find(token);
  if (state == nullptr) return;
  if (state->phase == OpState::Phase::kPolling) return OnReady(state, result);
  OnIssuedDone(state, result, inline_sequence);
}

void UringDriver::OnIssuedDone(OpState* state, int result, uint64_t inline_sequence) {
  const OpCode code = state->op->code;
  const bool ending = state->cancel_requested || state->timed_out;
  if (result == -EAGAIN && ending) result = -ECANCELED;
  if (result == -EINTR && !ending) return Requeue(state);
  if (result == -EAGAIN && IsFileOp(code)) {
    if (state->force_worker) return Pause(state);
    // Opened O_NONBLOCK on a file system that cannot read ahead of the disk: only a worker can wait for the data.
    state->force_worker = true;
    return Requeue(state);
  }
  if (result == -EAGAIN && code == OpCode::kConnect) return Pause(state);  // the listener's queue is full
  if (result == -EAGAIN || (code == OpCode::kConnect && (result == -EINPROGRESS || result == -EALREADY))) {
    state->needs_poll = true;
    return Requeue(state);
  }
  Count(*state, inline_sequence);
  Finish(state, FinalResult(*state, result));
}

void UringDriver::OnReady(OpState* state, int result) {
  if (result < 0) return Finish(state, FinalResult(*state, result));
  if (state->cancel_requested || state->timed_out) return Finish(state, FinalResult(*state, -ECANCELED));
  if (state->op->code == OpCode::kConnect) return Finish(state, ConnectResult(state->op->fd));
  Requeue(state);
}

void UringDriver::OnCancelDone(uint64_t token, int result) {
  OpState* state = table_.Find(token);
  // Not found though in flight: it is between two states (ready, but not tried again yet). Ask again soon.
  if (state != nullptr && result == -ENOENT) table_.SetDeadline(state, std::chrono::steady_clock::now() + kRetryPause);
}

void UringDriver::OnWake() {
  wake_armed_ = false;
  ++completed_;
  if (features_.fast_poll) return;
  [[maybe_unused]] const ssize_t taken = ::read(wake_fd_.get(), &wake_value_, sizeof(wake_value_));
}

void UringDriver::ExpireDeadlines() {
  if (!table_.NextDeadline().has_value()) return;
  const MonotonicTime now = std::chrono::steady_clock::now();
  while (OpState* state = table_.TakeExpired(now)) {
    if (state->op->code == OpCode::kTimeout) {
      Finish(state, 0);
    } else if (state->cancel_requested || state->timed_out) {
      Interrupt(state);
    } else if (now >= state->limit) {
      state->timed_out = true;
      Interrupt(state);
    } else {
      Requeue(state);
    }
  }
}

void UringDriver::Requeue(OpState* state) {
  state->phase = OpState::Phase::kQueued;
  if (state->limit != MonotonicTime::max()) table_.SetDeadline(state, state->limit);
  backlog_.push_back(state);
}

void UringDriver::Pause(OpState* state) {
  state->phase = OpState::Phase::kSleeping;
  table_.SetDeadline(state, std::min(state->limit, std::chrono::steady_clock::now() + kRetryPause));
}

void UringDriver::Count(const OpState& state, uint64_t inline_sequence) {
  const auto code = static_cast<size_t>(state.op->code);
  if (state.enter_sequence == inline_sequence && !state.force_worker) {
    ++counters_.ring_inline[code];
  } else if (IsFileOp(state.op->code)) {
    ++counters_.handed_off[code];
  }
}

void UringDriver::Finish(OpState* state, int64_t result) {
  Op* op = state->op;
  table_.Remove(state);
  op->result = result;
  ++completed_;
  op->executor->Post(op->waiter);
}

absl::Status UringDriver::RegisterBuffer(int index, void* base, size_t size_bytes) {
  if (!features_.sparse_buffers)
    return MakeStatus(absl::StatusCode::kUnimplemented, "the kernel has no sparse buffer tables (5.19)");
  if (index < 0 || static_cast<unsigned>(index) >= kBufferTableSlots)
    return MakeStatus(absl::StatusCode::kInvalidArgument, "buffer index out of range");
  if (!buffer_table_) {
    const int result = io_uring_register_buffers_sparse(&ring_, kBufferTableSlots);
    if (result < 0) return ErrnoStatus(-result, "register a sparse buffer table");
    buffer_table_ = true;
    registered_.resize(kBufferTableSlots);
  }
  iovec vector{base, size_bytes};
  __u64 tag = 0;
  const int result = io_uring_register_buffers_update_tag(&ring_, static_cast<unsigned>(index), &vector, &tag, 1);
  if (result < 0) return ErrnoStatus(-result, "register a buffer");
  registered_[static_cast<size_t>(index)] = true;
  return absl::OkStatus();
}

}  // namespace uringsync
