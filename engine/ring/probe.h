// What this kernel and this process allow: ring set-up with fallbacks, and a report for `uringsync doctor`.
//
// Thread rule: SetUpRing belongs to the thread that will submit; Probe is free of shared state.
// Use:  ProbeReport report = Probe();  if (!report.ring_usable) Print(report.ring_error);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/ring/driver.h"

struct io_uring;

namespace uringsync {

// What a ring that was set up can do, cut to the level that is imitated.
struct RingFeatures {
  uint32_t setup_flags = 0;
  bool wait_timeout_argument = false;  // IORING_FEAT_EXT_ARG, 5.11
  bool fast_poll = false;              // IORING_FEAT_FAST_POLL, 5.7: sockets wait on a poll, not on a worker
  bool task_run_flag = false;          // pending completions show in the ring's flags, 5.19
  bool worker_cap = false;             // IORING_REGISTER_IOWQ_MAX_WORKERS took effect, 5.15
  bool sparse_buffers = false;         // a sparse buffer table may be registered, 5.19
  bool restricted = false;             // it carries out the engine's operations and no others, 5.10
};

// Sets up `ring` with the best flags that the kernel and `options.level` have, capped workers and restrictions
// included. On error nothing is left to free. The message names cause and fix.
absl::StatusOr<RingFeatures> SetUpRing(const DriverOptions& options, io_uring* ring);

// Names of IORING_SETUP_* flags in `flags`, without the prefix, joined by "|"; "none" for 0.
std::string SetupFlagNames(uint32_t flags);

// Cause and fix for a ring that cannot be set up; `call` is the system call that failed, `err` its positive errno.
absl::Status ExplainRingFailure(const char* call, int err);

struct ProbeReport {
  bool ring_usable = false;
  std::string ring_error;  // cause and fix where it is not
  RingFeatures features;
  std::string setup_flags;                      // SetupFlagNames of the flags that took
  std::vector<std::string> missing_operations;  // io_uring operations that the engine uses and the kernel lacks
  std::vector<std::string> missing_calls;       // system calls that the engine can use and the kernel lacks
  std::string registered_buffers;               // "yes", or why not
  std::string kernel_release;                   // uname -r
  int io_uring_disabled = -1;                   // kernel.io_uring_disabled; -1 where there is no such setting
  int seccomp_mode = -1;                        // of this process: 0 none, 1 strict, 2 filter; -1 unknown
  uint64_t memlock_limit_bytes = 0;             // RLIMIT_MEMLOCK, UINT64_MAX for unlimited
};
// Sets up a ring for the look and takes it down again.
ProbeReport Probe(KernelLevel level = KernelLevel::kNative);

}  // namespace uringsync
