#include "engine/ring/probe.h"

#include <liburing.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/ring/system_call.h"

namespace uringsync {
namespace {

// Completions for a whole batch of submissions several times over, before the kernel must keep them in its overflow
// list.
constexpr uint32_t kCompletionsPerSubmission = 16;
// A ring smaller than this is not worth having; below it ENOMEM is reported.
constexpr uint32_t kSmallestRing = 32;

constexpr std::pair<uint32_t, const char*> kSetupFlags[] = {
    {IORING_SETUP_CQSIZE, "CQSIZE"},
    {IORING_SETUP_CLAMP, "CLAMP"},
    {IORING_SETUP_R_DISABLED, "R_DISABLED"},
    {IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
    {IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN"},
    {IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG"},
    {IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
    {IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"},
};

constexpr std::pair<int, const char*> kOperations[] = {
    {IORING_OP_NOP, "NOP"},
    {IORING_OP_READ, "READ"},
    {IORING_OP_WRITE, "WRITE"},
    {IORING_OP_FSYNC, "FSYNC"},
    {IORING_OP_FALLOCATE, "FALLOCATE"},
    {IORING_OP_ACCEPT, "ACCEPT"},
    {IORING_OP_CONNECT, "CONNECT"},
    {IORING_OP_SEND, "SEND"},
    {IORING_OP_RECV, "RECV"},
    {IORING_OP_WRITEV, "WRITEV"},
    {IORING_OP_POLL_ADD, "POLL_ADD"},
    {IORING_OP_TIMEOUT, "TIMEOUT"},
    {IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"},
    {IORING_OP_READ_FIXED, "READ_FIXED"},
    {IORING_OP_WRITE_FIXED, "WRITE_FIXED"},
};
// What a ring registers once it works: buffers, and its descriptor in the thread that ends it.
constexpr uint8_t kLateRegistrations[] = {IORING_REGISTER_BUFFERS2, IORING_REGISTER_BUFFERS_UPDATE,
                                          IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS};

// From the newest kernel's flags down to none; each row is what one step older lacks.
std::vector<uint32_t> FlagLadder(KernelLevel level) {
  constexpr uint32_t k5_6 = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
  constexpr uint32_t k5_10 = k5_6 | IORING_SETUP_R_DISABLED;
  constexpr uint32_t k5_18 = k5_10 | IORING_SETUP_SUBMIT_ALL;
  constexpr uint32_t k5_19 = k5_18 | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  constexpr uint32_t k6_0 = k5_19 | IORING_SETUP_SINGLE_ISSUER;
  constexpr uint32_t k6_1 = k6_0 | IORING_SETUP_DEFER_TASKRUN;
  if (level == KernelLevel::kNative) return {k6_1, k6_0, k5_19, k5_18, k5_10, k5_6, 0};
  if (level == KernelLevel::k5_15) return {k5_10, k5_6, 0};
  return {k5_6, 0};
}

int QueueInit(uint32_t entries, uint32_t flags, io_uring* ring, RingFeatures* features) {
  io_uring_params params{};
  params.flags = flags;
  if ((flags & IORING_SETUP_CQSIZE) != 0) params.cq_entries = entries * kCompletionsPerSubmission;
  const int result = io_uring_queue_init_params(entries, ring, &params);
  if (result < 0) return result;
  features->setup_flags = flags;
  features->wait_timeout_argument = (params.features & IORING_FEAT_EXT_ARG) != 0;
  features->fast_poll = (params.features & IORING_FEAT_FAST_POLL) != 0;
  features->task_run_flag = (flags & IORING_SETUP_TASKRUN_FLAG) != 0;
  if ((params.features & IORING_FEAT_NODROP) == 0 || (params.features & IORING_FEAT_SUBMIT_STABLE) == 0) {
    io_uring_queue_exit(ring);
    return -ENOSYS;
  }
  return 0;
}

std::vector<std::string> MissingOperations(io_uring* ring) {
  std::vector<std::string> missing;
  io_uring_probe* probe = io_uring_get_probe_ring(ring);
  for (const auto& [opcode, name] : kOperations) {
    if (probe == nullptr || !io_uring_opcode_supported(probe, opcode)) missing.emplace_back(name);
  }
  if (probe != nullptr) io_uring_free_probe(probe);
  return missing;
}

void ApplyLevel(KernelLevel level, io_uring* ring, RingFeatures* features) {
  features->sparse_buffers = level == KernelLevel::kNative;
  if (level != KernelLevel::k5_6) return;
  features->wait_timeout_argument = false;
  features->fast_poll = false;
  // The library then waits with a timeout operation, as it does on such a kernel.
  ring->features &= ~static_cast<unsigned>(IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL);
}

void CapWorkers(const DriverOptions& options, io_uring* ring, RingFeatures* features) {
  if (options.level == KernelLevel::k5_6) return;
  unsigned workers[2] = {options.io_wq_bounded_workers, options.io_wq_bounded_workers};
  features->worker_cap = io_uring_register_iowq_max_workers(ring, workers) == 0;
}

// The library of Debian 12 has no call for these. 0 or a negative errno.
int Register(io_uring* ring, unsigned operation, const void* argument, size_t count) {
  const long result = ::syscall(SYS_io_uring_register, ring->ring_fd, operation, argument, count);
  return result < 0 ? -errno : 0;
}

// Seccomp does not see what a ring does: the ring itself is held to the operations that we have use for.
absl::Status Restrict(io_uring* ring, RingFeatures* features) {
  if ((features->setup_flags & IORING_SETUP_R_DISABLED) == 0) return absl::OkStatus();
  std::vector<io_uring_restriction> rules;
  const auto allow = [&rules](uint16_t kind, auto value) {
    io_uring_restriction rule{};
    rule.opcode = kind;
    rule.sqe_op = static_cast<uint8_t>(value);  // a union: of registrations and flags too
    rules.push_back(rule);
  };
  for (const auto& [operation, name] : kOperations) allow(IORING_RESTRICTION_SQE_OP, operation);
  for (const uint8_t registration : kLateRegistrations) allow(IORING_RESTRICTION_REGISTER_OP, registration);
  allow(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, IOSQE_ASYNC);
  int result = Register(ring, IORING_REGISTER_RESTRICTIONS, rules.data(), rules.size());
  if (result < 0) return ErrnoStatus(-result, "io_uring_register (restrictions)");
  result = Register(ring, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  if (result < 0) return ErrnoStatus(-result, "io_uring_register (enable rings)");
  features->restricted = true;
  return absl::OkStatus();
}

int ReadInt(const char* path) {
  std::ifstream file(path);
  int value = -1;
  return file >> value ? value : -1;
}

int SeccompMode() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    int value = -1;
    if (key == "Seccomp:" && status >> value) return value;
    status.ignore(1 << 16, '\n');
  }
  return -1;
}

}  // namespace

std::string SetupFlagNames(uint32_t flags) {
  std::string names;
  for (const auto& [flag, name] : kSetupFlags) {
    if ((flags & flag) == 0) continue;
    if (!names.empty()) names += '|';
    names += name;
  }
  return names.empty() ? "none" : names;
}

absl::Status ExplainRingFailure(const char* call, int err) {
  std::string cause;
  const int disabled = ReadInt("/proc/sys/kernel/io_uring_disabled");
  switch (err) {
    case EPERM:
    case EACCES:
      if (disabled > 0) {
        cause = "kernel.io_uring_disabled is " + std::to_string(disabled) +
                "; to allow io_uring: sysctl -w kernel.io_uring_disabled=0";
      } else if (SeccompMode() > 0) {
        cause =
            "a seccomp profile refuses it, as container runtimes do by default; to allow io_uring: run with a profile "
            "that "
            "permits io_uring_setup, io_uring_enter and io_uring_register";
      } else {
        cause = "a security policy (LSM) refuses it; to allow io_uring: permit it for this program there";
      }
      break;
    case ENOSYS:
      cause =
          SeccompMode() > 0
              ? "a seccomp profile hides it, as container runtimes do by default; to allow io_uring: run with a "
                "profile "
                "that permits io_uring_setup, io_uring_enter and io_uring_register"
              : "the kernel is older than 5.6 or built without CONFIG_IO_URING; to get io_uring: run a newer kernel";
      break;
    case ENOMEM:
      cause =
          "no memory, or RLIMIT_MEMLOCK is too small for the ring (kernels before 5.12 charge it); to allow io_uring: "
          "raise "
          "ulimit -l or the memory limit";
      break;
    case EMFILE:
    case ENFILE: cause = "no file descriptor is left; to allow io_uring: raise ulimit -n"; break;
    default: cause = "see uringsync doctor";
  }
  absl::Status status = ErrnoStatus(err, call);
  absl::Status explained(status.code(), std::string(status.message()) + ": " + cause);
  status.ForEachPayload(
      [&explained](absl::string_view url, const absl::Cord& payload) { explained.SetPayload(url, payload); });
  return explained;
}

absl::StatusOr<RingFeatures> SetUpRing(const DriverOptions& options, io_uring* ring) {
  RingFeatures features;
  int result = -EINVAL;
  for (uint32_t entries = options.ring_entries; entries >= kSmallestRing; entries /= 2) {
    for (uint32_t flags : FlagLadder(options.level)) {
      result = QueueInit(entries, flags, ring, &features);
      if (result != -EINVAL) break;
    }
    if (result != -ENOMEM) break;
  }
  if (result < 0) return ExplainRingFailure("io_uring_setup", -result);
  const std::vector<std::string> missing = MissingOperations(ring);
  if (!missing.empty()) {
    io_uring_queue_exit(ring);
    return MakeStatus(absl::StatusCode::kUnimplemented, "io_uring lacks the operation " + missing.front() +
                                                            ": the kernel is older than 5.6, or restricts it");
  }
  ApplyLevel(options.level, ring, &features);
  CapWorkers(options, ring, &features);
  if (absl::Status restricted = Restrict(ring, &features); !restricted.ok()) {
    io_uring_queue_exit(ring);
    return restricted;
  }
  // Saves a descriptor look-up an enter, where the kernel has it (5.18).
  if (options.level == KernelLevel::kNative) io_uring_register_ring_fd(ring);
  return features;
}

namespace {

std::string TryRegisteredBuffer(io_uring* ring, const RingFeatures& features) {
  if (!features.sparse_buffers) return "no: the kernel is older than 5.19";
  int result = io_uring_register_buffers_sparse(ring, 1);
  if (result < 0) return "no: " + std::string(ErrnoStatus(-result, "sparse buffer table").message());
  constexpr size_t kBytes = size_t{1} << 20;
  std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(4096, kBytes), &std::free);
  iovec vector{memory.get(), kBytes};
  __u64 tag = 0;
  result = io_uring_register_buffers_update_tag(ring, 0, &vector, &tag, 1);
  if (result < 0) return "no: " + std::string(ErrnoStatus(-result, "register 1 MiB").message());
  return "yes";
}

std::vector<std::string> MissingCalls(KernelLevel level) {
  std::vector<std::string> missing;
  // Impossible arguments: a kernel that has the call complains about them (EINVAL, EBADF, EFAULT), never ENOSYS.
  for (CallCode code :
       {CallCode::kOpenat2, CallCode::kStatx, CallCode::kRenameat2, CallCode::kCopyFileRange, CallCode::kGetxattrat,
        CallCode::kListxattrat, CallCode::kSetxattrat, CallCode::kRemovexattrat}) {
    if (SystemCall(level, code, -1, 0, 0, 0, 0, 0) == -ENOSYS) missing.emplace_back(CallCodeName(code));
  }
  return missing;
}

}  // namespace

ProbeReport Probe(KernelLevel level) {
  ProbeReport report;
  utsname name{};
  if (::uname(&name) == 0) report.kernel_release = name.release;
  report.io_uring_disabled = ReadInt("/proc/sys/kernel/io_uring_disabled");
  report.seccomp_mode = SeccompMode();
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
    report.memlock_limit_bytes = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
  report.missing_calls = MissingCalls(level);

  DriverOptions options;
  options.level = level;
  io_uring ring{};
  absl::StatusOr<RingFeatures> features = SetUpRing(options, &ring);
  if (!features.ok()) {
    report.ring_error = std::string(features.status().message());
    report.registered_buffers = "no: no ring";
    return report;
  }
  report.ring_usable = true;
  report.features = *features;
  report.setup_flags = SetupFlagNames(features->setup_flags);
  report.missing_operations = MissingOperations(&ring);
  report.registered_buffers = TryRegisteredBuffer(&ring, *features);
  io_uring_queue_exit(&ring);
  return report;
}

}  // namespace uringsync
