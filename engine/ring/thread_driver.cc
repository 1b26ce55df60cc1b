#include "engine/ring/thread_driver.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/ring/op_traits.h"
#include "engine/ring/system_call.h"

namespace uringsync {
namespace {

// File transfers up to this size are copied by the shard itself: less than the cost of a hand-over to a thread and
// back. Larger ones too where there is nothing to wait for: what is read lies in the page cache, or the file system is
// memory.
constexpr uint32_t kInlineTransferBytes = 64 << 10;
constexpr int kEventsPerWait = 64;
// Pause before a connect that the listener's full queue refused is tried again (unix sockets have no event for it).
constexpr std::chrono::milliseconds kConnectPause{1};

bool MakeNonBlocking(int fd, int* old_flags) {
  *old_flags = ::fcntl(fd, F_GETFL);
  return *old_flags >= 0 && ((*old_flags & O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFL, *old_flags | O_NONBLOCK) == 0);
}

bool LiesInMemory(int fd) {
  struct statfs stat{};
  return ::fstatfs(fd, &stat) == 0 && stat.f_type == TMPFS_MAGIC;
}

// A read or write that the shard may as well do itself; -EAGAIN: the pool shall.
int64_t TransferWithoutBlocking(const Op& op) {
  if (op.code == OpCode::kRead) {
    const iovec vector{op.buffer, op.length};
    const ssize_t n = ::preadv2(op.fd, &vector, 1, static_cast<off_t>(op.offset), RWF_NOWAIT);
    if (n >= 0) return n;
    if (errno == EAGAIN) return -EAGAIN;
    // EOPNOTSUPP: the file system cannot tell; EINTR: the plain call knows what to do.
  }
  return op.length <= kInlineTransferBytes || LiesInMemory(op.fd) ? RunFileOp(op) : -EAGAIN;
}

int64_t OrErrno(ssize_t result) {
  return result >= 0 ? result : -errno;
}

int64_t PollNow(const Op& op) {
  pollfd poll{.fd = op.fd, .events = static_cast<short>(op.flags), .revents = 0};
  const int ready = ::poll(&poll, 1, 0);
  if (ready <= 0) return ready == 0 ? -EAGAIN : -errno;
  return (poll.revents & POLLNVAL) != 0 ? -EBADF : poll.revents;
}

int64_t TryAccept(const Op& op) {
  int flags = 0;
  if (!MakeNonBlocking(op.fd, &flags)) return -errno;
  return OrErrno(::accept4(op.fd, nullptr, nullptr, SOCK_CLOEXEC));
}

int WaitMilliseconds(std::chrono::nanoseconds wait) {
  // Rounded up: a deadline that is not quite there yet must not turn the loop into a spin.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return ms > INT_MAX ? -1 : static_cast<int>(ms);
}

}  // namespace

ThreadDriver::ThreadDriver(const DriverOptions& options)
    : level_(options.level), pool_(std::max(1U, options.pool_threads), [this] { Wake(); }) {}

absl::StatusOr<std::unique_ptr<ThreadDriver>> ThreadDriver::Create(const DriverOptions& options) {
  std::unique_ptr<ThreadDriver> driver(new ThreadDriver(options));
  driver->epoll_fd_.Reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!driver->epoll_fd_.valid()) return ErrnoStatus(errno, "epoll_create1");
  driver->wake_fd_.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!driver->wake_fd_.valid()) return ErrnoStatus(errno, "eventfd");
  epoll_event event{.events = EPOLLIN, .data = {.fd = driver->wake_fd_.get()}};
  if (::epoll_ctl(driver->epoll_fd_.get(), EPOLL_CTL_ADD, driver->wake_fd_.get(), &event) < 0)
    return ErrnoStatus(errno, "epoll_ctl");
  return driver;
}

ThreadDriver::~ThreadDriver() {
  if (table_.size() == 0) return;
  std::fputs("uringsync: a driver was destroyed with operations in flight\n", stderr);
  std::abort();
}

void ThreadDriver::Submit(Op* op) {
  OpState* state = table_.Add(op);
  ++counters_.submitted[static_cast<size_t>(op->code)];
  if (op->timeout.count() > 0) {
    state->limit = std::chrono::steady_clock::now() + op->timeout;
    table_.SetDeadline(state, state->limit);
  }
  if (op->code == OpCode::kTimeout) {
    state->phase = OpState::Phase::kSleeping;
    if (op->timeout.count() <= 0) Finish(state, 0);
  } else if (op->code == OpCode::kNop) {
    ++counters_.ring_inline[static_cast<size_t>(op->code)];
    Finish(state, 0);
  } else if (IsFileOp(op->code)) {
    StartFileOp(state);
  } else {
    StartSocketOp(state);
  }
}

void ThreadDriver::StartFileOp(OpState* state) {
  const Op& op = *state->op;
  const bool transfer = op.code == OpCode::kRead || op.code == OpCode::kWrite;
  if (transfer) {
    const int64_t result = TransferWithoutBlocking(op);
    if (result != -EAGAIN) {
      ++counters_.ring_inline[static_cast<size_t>(op.code)];
      return Finish(state, result);
    }
  }
  ++counters_.handed_off[static_cast<size_t>(op.code)];
  ++pooled_;
  state->phase = OpState::Phase::kIssued;
  pool_.Run(state->token(), state->op);
}

void ThreadDriver::StartSocketOp(OpState* state) {
  const OpCode code = state->op->code;
  const int64_t result = code == OpCode::kConnect ? StartConnect(state) : TrySocketOp(state);
  if (result == -EAGAIN && code == OpCode::kConnect) {
    state->phase = OpState::Phase::kSleeping;
    table_.SetDeadline(state, std::min(state->limit, std::chrono::steady_clock::now() + kConnectPause));
  } else if (result == -EAGAIN || result == -EINPROGRESS) {
    WaitReady(state);
  } else {
    ++counters_.ring_inline[static_cast<size_t>(code)];
    Finish(state, result);
  }
}

int64_t ThreadDriver::StartConnect(OpState* state) {
  const Op& op = *state->op;
  if (state->saved_flags < 0) {
    int flags = 0;
    if (!MakeNonBlocking(op.fd, &flags)) return -errno;
    state->saved_flags = flags;
  }
  if (::connect(op.fd, op.address, op.address_length) == 0) return 0;
  // An interrupted connect goes on by itself; asking again would say EALREADY.
  return errno == EINTR ? -EINPROGRESS : -errno;
}

int64_t ThreadDriver::TrySocketOp(OpState* state) {
  while (true) {
    const int64_t result = TrySocketOpOnce(*state->op);
    if (result != -EINTR) return result;
  }
}

int64_t ThreadDriver::TrySocketOpOnce(const Op& op) {
  const int flags = static_cast<int>(op.flags) | MSG_NOSIGNAL | MSG_DONTWAIT;
  switch (op.code) {
    case OpCode::kAccept: return TryAccept(op);
    case OpCode::kConnect: return ConnectResult(op.fd);
    case OpCode::kSend: return OrErrno(::send(op.fd, op.buffer, op.length, flags));
    case OpCode::kRecv: return OrErrno(::recv(op.fd, op.buffer, op.length, flags));
    case OpCode::kReadPipe: return OrErrno(::read(op.fd, op.buffer, op.length));
    case OpCode::kWritePipe:
      return OrErrno(::writev(op.fd, static_cast<const iovec*>(op.buffer), static_cast<int>(op.length)));
    case OpCode::kPoll: return PollNow(op);
    default: return -EINVAL;
  }
}

void ThreadDriver::WaitReady(OpState* state) {
  state->phase = OpState::Phase::kPolling;
  const int fd = state->op->fd;
  Waits& waits = waits_[fd];
  waits.states.push_back(state);
  ++waiting_;
  if (Arm(fd, &waits)) return;
  const int err = errno;
  waits.states.pop_back();
  --waiting_;
  Finish(state, -err);
}

bool ThreadDriver::Arm(int fd, Waits* waits) {
  epoll_event event{.events = EPOLLONESHOT, .data = {.fd = fd}};
  for (const OpState* state : waits->states) event.events |= ReadinessFor(*state->op);
  // What epoll knows may be out of date: a closed descriptor leaves it silently, and its number comes back.
  const int first = waits->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  int result = ::epoll_ctl(epoll_fd_.get(), first, fd, &event);
  if (result < 0 && errno == ENOENT) result = ::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_ADD, fd, &event);
  if (result < 0 && errno == EEXIST) result = ::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_MOD, fd, &event);
  waits->known = result == 0;
  return result == 0;
}

void ThreadDriver::OnEvent(int fd, uint32_t events) {
  const auto found = waits_.find(fd);
  if (found == waits_.end()) return;
  std::vector<OpState*> states = std::exchange(found->second.states, {});
  waiting_ -= states.size();
  std::vector<OpState*> left;
  for (OpState* state : states) {
    const bool concerned = (events & (ReadinessFor(*state->op) | EPOLLERR | EPOLLHUP)) != 0;
    const int64_t result = concerned ? TrySocketOp(state) : -EAGAIN;
    if (result == -EAGAIN) {
      left.push_back(state);
    } else {
      Finish(state, result);
    }
  }
  if (left.empty()) return;
  waiting_ += left.size();
  found->second.states = std::move(left);
  if (Arm(fd, &found->second)) return;
  const int err = errno;
  for (OpState* state : std::exchange(found->second.states, {})) {
    --waiting_;
    Finish(state, -err);
  }
}

void ThreadDriver::Cancel(Op* op) {
  auto* state = static_cast<OpState*>(op->driver_state);
  if (state == nullptr || state->cancel_requested) return;
  state->cancel_requested = true;
  Interrupt(state);
}

void ThreadDriver::Interrupt(OpState* state) {
  if (state->phase == OpState::Phase::kIssued) {
    // A job that has started runs to its end, and its result stands.
    if (!pool_.Withdraw(state->token())) return;
    --pooled_;
  } else if (state->phase == OpState::Phase::kPolling) {
    std::erase(waits_[state->op->fd].states, state);
    --waiting_;
  }
  Finish(state, FinalResult(*state, -ECANCELED));
}

void ThreadDriver::ExpireDeadlines() {
  if (!table_.NextDeadline().has_value()) return;
  const MonotonicTime now = std::chrono::steady_clock::now();
  while (OpState* state = table_.TakeExpired(now)) {
    if (state->op->code == OpCode::kTimeout) {
      Finish(state, 0);
    } else if (now >= state->limit) {
      state->timed_out = true;
      Interrupt(state);
    } else {
      if (state->limit != MonotonicTime::max()) table_.SetDeadline(state, state->limit);
      StartSocketOp(state);
    }
  }
}

void ThreadDriver::TakePoolResults() {
  if (pooled_ == 0) return;
  for (const ThreadPool::Done& done : pool_.TakeDone()) {
    --pooled_;
    Finish(table_.Find(done.token), done.result);
  }
}

int ThreadDriver::Poll(std::chrono::nanoseconds max_wait) {
  ExpireDeadlines();
  TakePoolResults();
  if (completed_ > 0) max_wait = std::chrono::nanoseconds(0);
  if (max_wait.count() > 0 || waiting_ > 0) {
    WaitForEvents(max_wait);
    TakePoolResults();
    ExpireDeadlines();
  }
  return std::exchange(completed_, 0);
}

void ThreadDriver::WaitForEvents(std::chrono::nanoseconds max_wait) {
  std::array<epoll_event, kEventsPerWait> events;
  ++counters_.enters;
  const int timeout_ms = WaitMilliseconds(WaitUntil(table_.NextDeadline(), max_wait));
  const int count = ::epoll_wait(epoll_fd_.get(), events.data(), kEventsPerWait, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.fd != wake_fd_.get()) {
      OnEvent(event.data.fd, event.events);
      continue;
    }
    uint64_t value = 0;
    [[maybe_unused]] const ssize_t taken = ::read(wake_fd_.get(), &value, sizeof(value));
  }
}

void ThreadDriver::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the wake-up is pending anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_.get(), &one, sizeof(one));
}

long ThreadDriver::Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) {
  ++counters_.calls[static_cast<size_t>(code)];
  return SystemCall(level_, code, a0, a1, a2, a3, a4, a5);
}

absl::Status ThreadDriver::RegisterBuffer(int, void*, size_t) {
  return MakeStatus(absl::StatusCode::kUnimplemented, "the thread driver has no registered buffers");
}

void ThreadDriver::Finish(OpState* state, int64_t result) {
  Op* op = state->op;
  if (state->saved_flags >= 0 && (state->saved_flags & O_NONBLOCK) == 0) ::fcntl(op->fd, F_SETFL, state->saved_flags);
  table_.Remove(state);
  op->result = result;
  ++completed_;
  op->executor->Post(op->waiter);
}

}  // namespace uringsync
