#include "engine/ring/driver.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/ring/system_call.h"

namespace uringsync {
namespace {

// Numbers that are newer than the C library's headers; the same on every architecture since 5.1.
constexpr long kNumberOpenat2 = 437;
constexpr long kNumberCachestat = 451;
constexpr long kNumberSetxattrat = 463;
constexpr long kNumberGetxattrat = 464;
constexpr long kNumberListxattrat = 465;
constexpr long kNumberRemovexattrat = 466;

// First kernel that has the call, as far as the levels that can be imitated go.
enum class Since : uint8_t { k5_6, kAfter5_15 };

struct CallInfo {
  const char* name;
  long number;
  Since since = Since::k5_6;
};

// In the order of CallCode.
constexpr CallInfo kCalls[] = {
    {"openat2", kNumberOpenat2},
    {"openat", SYS_openat},
    {"close", SYS_close},
    {"statx", SYS_statx},
    {"getdents64", SYS_getdents64},
    {"readlinkat", SYS_readlinkat},
    {"mkdirat", SYS_mkdirat},
    {"unlinkat", SYS_unlinkat},
    {"renameat2", SYS_renameat2},
    {"linkat", SYS_linkat},
    {"symlinkat", SYS_symlinkat},
    {"mknodat", SYS_mknodat},
    {"fchmod", SYS_fchmod},
    {"fchmodat", SYS_fchmodat},
    {"fchownat", SYS_fchownat},
    {"utimensat", SYS_utimensat},
    {"ftruncate", SYS_ftruncate},
    {"lseek", SYS_lseek},
    {"fstatfs", SYS_fstatfs},
    {"flock", SYS_flock},
    {"fadvise64", SYS_fadvise64},
    {"fallocate", SYS_fallocate},
    {"fcntl", SYS_fcntl},
    {"ioctl", SYS_ioctl},
    {"getxattr", SYS_getxattr},
    {"fgetxattr", SYS_fgetxattr},
    {"listxattr", SYS_listxattr},
    {"flistxattr", SYS_flistxattr},
    {"setxattr", SYS_setxattr},
    {"fsetxattr", SYS_fsetxattr},
    {"removexattr", SYS_removexattr},
    {"fremovexattr", SYS_fremovexattr},
    {"getxattrat", kNumberGetxattrat, Since::kAfter5_15},
    {"listxattrat", kNumberListxattrat, Since::kAfter5_15},
    {"setxattrat", kNumberSetxattrat, Since::kAfter5_15},
    {"removexattrat", kNumberRemovexattrat, Since::kAfter5_15},
    {"pread64", SYS_pread64},
    {"pwrite64", SYS_pwrite64},
    {"socket", SYS_socket},
    {"bind", SYS_bind},
    {"listen", SYS_listen},
    {"setsockopt", SYS_setsockopt},
    {"getsockname", SYS_getsockname},
    {"getpeername", SYS_getpeername},
    {"getsockopt", SYS_getsockopt},
    {"shutdown", SYS_shutdown},
    {"memfd_create", SYS_memfd_create},
    {"syncfs", SYS_syncfs},
    {"sync_file_range", SYS_sync_file_range},
    // Every architecture has these two only as *at calls (SystemCall shifts the arguments).
    {"chmod", SYS_fchmodat},
    {"chown", SYS_fchownat},
    {"fsync", SYS_fsync},
    {"copy_file_range", SYS_copy_file_range},
    {"lgetxattr", SYS_lgetxattr},
    {"llistxattr", SYS_llistxattr},
    {"lsetxattr", SYS_lsetxattr},
    {"lremovexattr", SYS_lremovexattr},
    {"cachestat", kNumberCachestat, Since::kAfter5_15},
    {"mincore", SYS_mincore},
    {"mmap", SYS_mmap},
    {"munmap", SYS_munmap},
};
static_assert(std::size(kCalls) == static_cast<size_t>(CallCode::kCount), "one row for each CallCode");

constexpr const char* kOpNames[] = {"nop",  "read", "write",     "fsync",      "fallocate", "accept", "connect",
                                    "send", "recv", "read pipe", "write pipe", "poll",      "timeout"};
static_assert(std::size(kOpNames) == static_cast<size_t>(OpCode::kCount), "one name for each OpCode");

template <size_t N>
void AddAll(const std::array<uint64_t, N>& from, std::array<uint64_t, N>* to) {
  for (size_t i = 0; i < N; ++i) (*to)[i] += from[i];
}

}  // namespace

const char* OpCodeName(OpCode code) {
  return code < OpCode::kCount ? kOpNames[static_cast<size_t>(code)] : "unknown";
}

const char* CallCodeName(CallCode code) {
  return code < CallCode::kCount ? kCalls[static_cast<size_t>(code)].name : "unknown";
}

long CallNumber(CallCode code) {
  return kCalls[static_cast<size_t>(code)].number;
}

void DriverCounters::Add(const DriverCounters& other) {
  AddAll(other.submitted, &submitted);
  AddAll(other.ring_inline, &ring_inline);
  AddAll(other.handed_off, &handed_off);
  AddAll(other.calls, &calls);
  enters += other.enters;
}

absl::StatusOr<IoBackend> ParseIoBackend(std::string_view text) {
  if (text == "auto") return IoBackend::kAuto;
  if (text == "uring") return IoBackend::kUring;
  if (text == "threads") return IoBackend::kThreads;
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "I/O backend \"" + std::string(text) + "\" is none of auto, uring, threads");
}

long SystemCall(KernelLevel level, CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) {
  const CallInfo& call = kCalls[static_cast<size_t>(code)];
  if (level != KernelLevel::kNative && call.since == Since::kAfter5_15) return -ENOSYS;
  if (code == CallCode::kChmod || code == CallCode::kChown) {
    a3 = a2, a2 = a1, a1 = a0, a0 = AT_FDCWD;  // the flags of fchownat follow as a4 = 0
    a4 = 0;
  }
  while (true) {
    const long result = ::syscall(call.number, a0, a1, a2, a3, a4, a5);
    if (result >= 0) return result;
    // close has released the number even when it was interrupted.
    if (errno != EINTR || code == CallCode::kClose) return -errno;
  }
}

}  // namespace uringsync
