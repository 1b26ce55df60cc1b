// Driver: the seam under every system call of a session.
//
// Two kinds of calls, one policy table (docs/engine.md says which benchmark decided each):
//  - operations (Op): file data, socket traffic, fsync, timers. Submitted to the ring (or to threads), awaited;
//  - inline calls (Call): everything that completes at once from cache or has no ring operation (openat2, statx,
//  getdents,
//    renameat2, fchmod, ...). They run on the calling thread, but through the driver, so that they are counted and a
//    test can inject a fault into each.
//
// Thread rule: a driver belongs to one shard; every method but Wake() is called on that shard's thread only.
// Lifetime: an Op lives in the awaiting coroutine's frame, with its buffers and paths, until its completion arrives.
// Frames are never destroyed while an Op is in flight (Task enforces it); Cancel only makes the completion come sooner.
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/coro/executor.h"

namespace uringsync {

enum class OpCode : uint8_t {
  kNop,
  kRead,       // pread: fd, buffer, length, offset
  kWrite,      // pwrite: fd, buffer, length, offset
  kFsync,      // fd; flags: kFsyncDataOnly
  kFallocate,  // fd, offset, length64, mode in flags
  kAccept,     // fd; result is a new close-on-exec descriptor
  kConnect,    // fd, address, address_length
  kSend,       // fd, buffer, length, flags = MSG_*
  kRecv,       // fd, buffer, length, flags = MSG_*
  kReadPipe,   // read(2) of a pipe, terminal or socket: fd (non-blocking), buffer, length; waits until something is
               // there
  kWritePipe,  // writev(2) to one: fd (non-blocking), buffer = iovec array, length = its entries; may write less
  kPoll,       // fd, flags = POLLIN...; result is the ready mask
  kTimeout,    // timeout only; completes with 0 when it has passed
  kCount
};
const char* OpCodeName(OpCode code);

// Op::flags of kFsync: the data and what is needed to read it back, as fdatasync(2).
constexpr uint32_t kFsyncDataOnly = 1;

// One operation. The submitter fills the fields that the code names, the driver fills `result`.
struct Op {
  OpCode code = OpCode::kNop;
  int fd = -1;
  void* buffer = nullptr;
  uint32_t length = 0;    // bytes; a transfer of more than 1 GiB at once is the caller's to split
  uint64_t offset = 0;    // bytes
  uint64_t length64 = 0;  // kFallocate only
  uint32_t flags = 0;
  const sockaddr* address = nullptr;
  socklen_t address_length = 0;
  // Index of the registered buffer that `buffer` lies in, or -1. A hint: drivers without registration ignore it.
  int registered_buffer = -1;
  // kRead, kWrite: with the idle class of I/O. A hint: what is done at once, and other operations, know no priority.
  bool background = false;
  // Complete with -ETIME when the operation is still running after this long; zero for no limit.
  std::chrono::nanoseconds timeout{0};

  // ≥ 0: bytes or descriptor or mask; < 0: -errno. EINTR and EAGAIN never show here; a cancelled operation has
  // -ECANCELED.
  int64_t result = 0;

  // Filled by the awaiter.
  std::coroutine_handle<> waiter;
  Executor* executor = nullptr;
  // Owned by the driver while in flight.
  void* driver_state = nullptr;
};

// An inline system call, by name, for counting, masking and fault injection.
enum class CallCode : uint8_t {
  kOpenat2,
  kOpenat,
  kClose,
  kStatx,
  kGetdents,
  kReadlinkat,
  kMkdirat,
  kUnlinkat,
  kRenameat2,
  kLinkat,
  kSymlinkat,
  kMknodat,
  kFchmod,
  kFchmodat,
  kFchownat,
  kUtimensat,
  kFtruncate,
  kLseek,
  kFstatfs,
  kFlock,
  kFadvise,
  kFallocate,
  kFcntl,
  kIoctl,
  kGetxattr,
  kFgetxattr,
  kListxattr,
  kFlistxattr,
  kSetxattr,
  kFsetxattr,
  kRemovexattr,
  kFremovexattr,
  kGetxattrat,
  kListxattrat,
  kSetxattrat,
  kRemovexattrat,
  kPread,
  kPwrite,
  kSocket,
  kBind,
  kListen,
  kSetsockopt,
  kGetsockname,
  kGetpeername,
  kGetsockopt,
  kShutdown,
  kMemfdCreate,
  kSyncfs,
  kSyncFileRange,
  kChmod,
  kChown,
  kFsync,
  kCopyFileRange,
  kLgetxattr,
  kLlistxattr,
  kLsetxattr,
  kLremovexattr,  // by path, without following the last link
  kCachestat,
  kMincore,
  kMmap,
  kMunmap,
  kCount
};
const char* CallCodeName(CallCode code);
// The system call's number on this machine.
long CallNumber(CallCode code);

// What a driver did, by operation. Index with the enum's integer value.
struct DriverCounters {
  std::array<uint64_t, static_cast<size_t>(OpCode::kCount)>
      submitted{};  // ring submissions, or operations given to threads
  std::array<uint64_t, static_cast<size_t>(OpCode::kCount)>
      ring_inline{};  // completed within the submission system call
  // Operations that the kernel handed to an io-wq worker (uring), or that ran on the thread pool (threads). For uring
  // this is estimated from completions that were not there after submission, for operations that never wait on a poll.
  std::array<uint64_t, static_cast<size_t>(OpCode::kCount)> handed_off{};
  std::array<uint64_t, static_cast<size_t>(CallCode::kCount)> calls{};  // inline system calls
  uint64_t enters = 0;                                                  // io_uring_enter, or waits of the thread driver
  void Add(const DriverCounters& other);
};

class Driver {
 public:
  virtual ~Driver() = default;
  // "uring" or "threads".
  virtual std::string_view name() const = 0;

  // Starts `op`; its completion posts op->waiter to op->executor after filling op->result. Never completes inline from
  // the caller's view: the waiter is posted. Ops are queued and submitted together by the next Poll.
  virtual void Submit(Op* op) = 0;
  // Asks that `op`, in flight, completes soon (-ECANCELED unless it won the race). Completion still arrives.
  virtual void Cancel(Op* op) = 0;
  // Submits what is queued and takes completions. Waits for at least one completion or a Wake() for at most `max_wait`.
  // Returns the number of completions taken.
  virtual int Poll(std::chrono::nanoseconds max_wait) = 0;
  // Makes a waiting or the next Poll return. Thread-safe, async-signal-safe.
  virtual void Wake() = 0;

  // Runs the system call now. Returns its result, or -errno. EINTR is retried here (but not for close). Arguments are
  // the kernel's own; prefer the typed wrappers in engine/fs.
  virtual long Call(CallCode code, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0, long a5 = 0) = 0;

  // Registers `size_bytes` at `base` as fixed buffer `index` (uring) or does nothing. Unimplemented or
  // ResourceExhausted (RLIMIT_MEMLOCK) mean: use plain buffers.
  virtual absl::Status RegisterBuffer(int index, void* base, size_t size_bytes) = 0;

  virtual const DriverCounters& counters() const = 0;
  // Operations submitted and not completed.
  virtual size_t in_flight() const = 0;
};

// Awaits one operation on the driver of the running shard:  int64_t n = co_await Await(driver, &op);
struct OpAwaiter {
  Driver* driver;
  Op* op;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    op->waiter = handle;
    op->executor = Executor::Current();
    driver->Submit(op);
  }
  int64_t await_resume() const noexcept { return op->result; }
};
inline OpAwaiter Await(Driver* driver, Op* op) {
  return OpAwaiter{driver, op};
}

// Features that a probe found, or that a test hides to imitate an older kernel.
enum class KernelLevel : uint8_t { kNative, k5_15, k5_6 };

enum class IoBackend : uint8_t { kAuto, kUring, kThreads };
// "auto", "uring", "threads"; InvalidArgument names the choices.
absl::StatusOr<IoBackend> ParseIoBackend(std::string_view text);

struct DriverOptions {
  IoBackend backend = IoBackend::kAuto;
  KernelLevel level = KernelLevel::kNative;  // newer set-up flags, operations and system calls are treated as absent
  uint32_t ring_entries = 256;
  uint32_t io_wq_bounded_workers = 8;  // per ring; unbounded ones are capped to the same
  uint32_t pool_threads = 4;           // thread driver: threads for blocking file operations, per shard
};

struct DriverChoice {
  std::unique_ptr<Driver> driver;
  // Set when kAuto fell back to threads: cause and fix in one line, e.g.
  // "io_uring is not usable here (io_uring_setup: Operation not permitted; a seccomp profile ... ); using
  // --io-backend=threads".
  std::string fallback_reason;
};
// Makes a driver for the calling thread to own. kAuto falls back to threads on any set-up error; kUring returns the
// error.
absl::StatusOr<DriverChoice> MakeDriver(const DriverOptions& options);

}  // namespace uringsync
