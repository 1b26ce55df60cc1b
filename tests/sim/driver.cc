#include "tests/sim/driver.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace uringsync::sim {
namespace {

constexpr uint64_t kTurnPerMille = 250;

// Which argument of a call is a name, for the trace.
int NameArgument(CallCode code) {
  switch (code) {
    case CallCode::kOpenat:
    case CallCode::kOpenat2:
    case CallCode::kStatx:
    case CallCode::kMkdirat:
    case CallCode::kMknodat:
    case CallCode::kUnlinkat:
    case CallCode::kRenameat2:
    case CallCode::kFchmodat:
    case CallCode::kFchownat:
    case CallCode::kUtimensat: return 1;
    case CallCode::kLinkat: return 3;
    case CallCode::kSymlinkat: return 2;
    default: return -1;
  }
}

}  // namespace

SimulatedDriver::SimulatedDriver(Scheduler* scheduler, Kernel* kernel, Network* network, CallWatcher* watcher)
    : scheduler_(scheduler), kernel_(kernel), network_(network), watcher_(watcher), process_(scheduler->process()) {
  SeededRandom& random = scheduler->random();
  disk_latency_ = random.Of(std::vector<Nanos>{2 * kMicrosecond, 200 * kMicrosecond, 4 * kMillisecond});
  short_per_mille_ = random.Of(std::vector<uint64_t>{0, 0, 50});
}

SimulatedDriver::~SimulatedDriver() = default;

Nanos SimulatedDriver::Latency() {
  return kMicrosecond + static_cast<Nanos>(scheduler_->random().Below(static_cast<uint64_t>(disk_latency_)));
}

long SimulatedDriver::Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) {
  scheduler_->MaybeYield();
  ++counters_.calls[static_cast<size_t>(code)];
  const long arguments[6] = {a0, a1, a2, a3, a4, a5};
  const int error = code == CallCode::kClose ? 0 : watcher_->BeforeCall(process_, code);
  long result = error;
  if (error == 0) result = kernel_->Call(process_, code, arguments);
  if (error == CallWatcher::kSilentEnd) result = 0;
  const int name = NameArgument(code);
  const char* text = name < 0 ? nullptr : reinterpret_cast<const char*>(arguments[name]);
  // The descriptor that the name is relative to stands before it. No address: those need not repeat.
  scheduler_->Note(CallCodeName(code), result, name < 0 ? 0 : arguments[name - 1], text == nullptr ? "" : text);
  return result;
}

void SimulatedDriver::Submit(Op* op) {
  ++in_flight_;
  ++counters_.submitted[static_cast<size_t>(op->code)];
  const auto pending = std::make_shared<Pending>(Pending{.op = op});
  std::erase_if(pending_, [](const PendingPtr& old) { return old->done; });
  pending_.push_back(pending);
  const int error = watcher_->BeforeOp(process_, *op);
  switch (op->code) {
    case OpCode::kTimeout: scheduler_->After(op->timeout.count(), [this, pending] { Complete(pending, 0); }); return;
    case OpCode::kNop: scheduler_->After(kMicrosecond, [this, pending] { Complete(pending, 0); }); return;
    case OpCode::kRead:
    case OpCode::kWrite:
    case OpCode::kFsync:
    case OpCode::kFallocate: StartFileOp(pending, error); break;
    default: StartSocketOp(pending); break;
  }
  if (op->timeout.count() > 0) scheduler_->After(op->timeout.count(), [this, pending] { Complete(pending, -ETIME); });
}

void SimulatedDriver::StartFileOp(const PendingPtr& pending, int error) {
  const uint64_t draw = scheduler_->random().Next();
  const bool transfer = pending->op->code == OpCode::kRead || pending->op->code == OpCode::kWrite;
  const bool shorten = transfer && pending->op->length > 1 && scheduler_->random().Chance(short_per_mille_);
  scheduler_->After(Latency(), [this, pending, error, draw, shorten] {
    if (pending->done) return;
    // What the program had begun the kernel finishes, or not.
    if (!alive() && (draw & 1) != 0) return;
    Op op = *pending->op;
    if (shorten) op.length = 1 + static_cast<uint32_t>(draw % (op.length - 1));
    int64_t result = error;
    if (error == 0) {
      result = kernel_->RunFileOp(op);
    } else if (op.code == OpCode::kFsync) {
      kernel_->FailSync(op.fd);
    }
    if (alive()) Complete(pending, result);
  });
}

void SimulatedDriver::StartSocketOp(const PendingPtr& pending) {
  Op* op = pending->op;
  const SocketPtr socket = kernel_->SocketOf(op->fd);
  if (socket == nullptr) {
    scheduler_->After(kMicrosecond, [this, pending] { Complete(pending, -EBADF); });
    return;
  }
  if (op->code == OpCode::kConnect) {
    const auto* address = reinterpret_cast<const sockaddr_in*>(op->address);
    const auto host = static_cast<HostId>(ntohl(address->sin_addr.s_addr) & 0xff);
    network_->Connect(socket, host, ntohs(address->sin_port),
                      [this, pending](int result) { Complete(pending, result); });
    return;
  }
  scheduler_->After(kMicrosecond, [this, pending, socket] { Advance(pending, socket); });
}

int64_t SimulatedDriver::TrySocketOp(Op* op, const SocketPtr& socket) {
  switch (op->code) {
    case OpCode::kSend: return network_->Send(socket, op->buffer, op->length);
    case OpCode::kRecv: return network_->Receive(socket, op->buffer, op->length);
    case OpCode::kAccept: {
      if (!socket->backlog.empty()) {
        SocketPtr accepted = socket->backlog.front();
        socket->backlog.pop_front();
        return kernel_->AddSocket(process_, std::move(accepted));
      }
      return socket->listening ? -EAGAIN : -EINVAL;
    }
    default: return -EOPNOTSUPP;
  }
}

void SimulatedDriver::Advance(const PendingPtr& pending, const SocketPtr& socket) {
  if (pending->done || !alive()) return;
  const int64_t result = TrySocketOp(pending->op, socket);
  if (result != -EAGAIN) {
    Complete(pending, result);
    return;
  }
  socket->waiters.push_back([this, pending, socket] { Advance(pending, socket); });
}

void SimulatedDriver::Complete(const PendingPtr& pending, int64_t result) {
  if (pending->done || !alive()) return;
  pending->done = true;
  pending->op->result = result;
  scheduler_->Note(OpCodeName(pending->op->code), result, pending->op->fd);
  completed_.push_back(pending->op);
  scheduler_->WakeAll(this);
}

void SimulatedDriver::Cancel(Op* op) {
  for (const PendingPtr& pending : pending_) {
    if (pending->op != op || pending->done) continue;
    // Whoever is first.
    scheduler_->After(Latency(), [this, pending] { Complete(pending, -ECANCELED); });
    return;
  }
}

int SimulatedDriver::Poll(std::chrono::nanoseconds max_wait) {
  if (max_wait.count() == 0) {
    // A shard with work of its own lets others on now and then, however rarely this history switches.
    if (scheduler_->random().Chance(kTurnPerMille)) scheduler_->Yield();
  } else if (completed_.empty() && !woken_) {
    scheduler_->Wait(this, scheduler_->now() + max_wait.count());
  }
  woken_ = false;
  std::vector<Op*> taken;
  taken.swap(completed_);
  for (size_t i = taken.size(); i > 1; --i) std::swap(taken[i - 1], taken[scheduler_->random().Below(i)]);
  in_flight_ -= taken.size();
  for (Op* op : taken) op->executor->Post(op->waiter);
  return static_cast<int>(taken.size());
}

void SimulatedDriver::Wake() {
  woken_ = true;
  scheduler_->WakeAll(this);
}

}  // namespace uringsync::sim
