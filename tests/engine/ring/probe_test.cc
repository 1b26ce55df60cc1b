// Set-up failures: cause and fix in one line, and `auto` that goes on without the ring.

#include "engine/ring/probe.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <string>

#include "engine/ring/driver.h"
#include "engine/ring/runtime.h"
#include "tests/engine/ring/op_helpers.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

TEST(ProbeTest, FailuresNameCauseAndFix) {
  EXPECT_THAT(std::string(ExplainRingFailure("io_uring_setup", ENOMEM).message()),
              testing::AllOf(HasSubstr("io_uring_setup"), HasSubstr("ulimit -l")));
  EXPECT_THAT(std::string(ExplainRingFailure("io_uring_setup", EMFILE).message()), HasSubstr("ulimit -n"));
  EXPECT_THAT(ExplainRingFailure("io_uring_setup", EPERM), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(ExplainRingFailure("io_uring_setup", ENOSYS), StatusIs(absl::StatusCode::kUnimplemented));
}

TEST(ProbeTest, ReportFillsWhatEveryLinuxHas) {
  const ProbeReport report = Probe();
  EXPECT_FALSE(report.kernel_release.empty());
  EXPECT_GE(report.seccomp_mode, 0);
  EXPECT_GT(report.memlock_limit_bytes, 0U);
  EXPECT_NE(report.ring_usable, !report.ring_error.empty());
  EXPECT_FALSE(report.registered_buffers.empty());
}

TEST(ProbeTest, BackendNamesParse) {
  EXPECT_THAT(ParseIoBackend("auto"), IsOkAndHolds(IoBackend::kAuto));
  EXPECT_THAT(ParseIoBackend("uring"), IsOkAndHolds(IoBackend::kUring));
  EXPECT_THAT(ParseIoBackend("threads"), IsOkAndHolds(IoBackend::kThreads));
  EXPECT_THAT(ParseIoBackend("fast"), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("auto, uring, threads")));
}

TEST(ProbeTest, EveryOperationAndCallHasAName) {
  for (size_t i = 0; i < static_cast<size_t>(OpCode::kCount); ++i)
    EXPECT_STRNE(OpCodeName(static_cast<OpCode>(i)), "unknown");
  for (size_t i = 0; i < static_cast<size_t>(CallCode::kCount); ++i) {
    EXPECT_STRNE(CallCodeName(static_cast<CallCode>(i)), "unknown");
    EXPECT_GE(CallNumber(static_cast<CallCode>(i)), 0);
  }
  EXPECT_EQ(CallNumber(CallCode::kStatx), SYS_statx);
  EXPECT_EQ(CallNumber(CallCode::kLremovexattr), SYS_lremovexattr);
}

// Runs `body` in a child process; its result is the exit status.
int InChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// As container runtimes do.
bool RefuseIoUring(int err) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(err)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

constexpr int kSkip = 77;

// 0: auto runs on threads, its one-line reason holds `reason`, work gets done, and uring by name is an error.
int CheckFallback(const std::string& reason) {
  absl::StatusOr<std::unique_ptr<Runtime>> runtime =
      Runtime::Start({.shards = 2, .driver = {}, .wrap_driver = nullptr});
  if (!runtime.ok()) return 1;
  if ((*runtime)->backend() != "threads") return 2;
  const std::string& told = (*runtime)->fallback_reason();
  if (told.find(reason) == std::string::npos || told.find('\n') != std::string::npos) {
    std::fprintf(stderr, "reason: %s\n", told.c_str());
    return 3;
  }
  if (RunOn((*runtime)->shard(1), Do({.code = OpCode::kNop})) != 0) return 4;
  RuntimeOptions options;
  options.driver.backend = IoBackend::kUring;
  return Runtime::Start(std::move(options)).ok() ? 5 : 0;
}

TEST(FallbackTest, SeccompThatSaysEpermLeadsToThreads) {
  const int result = InChild([] { return RefuseIoUring(EPERM) ? CheckFallback("seccomp profile refuses") : kSkip; });
  if (result == kSkip) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(result, 0);
}

TEST(FallbackTest, SeccompThatSaysEnosysLeadsToThreads) {
  const int result = InChild([] { return RefuseIoUring(ENOSYS) ? CheckFallback("seccomp profile hides") : kSkip; });
  if (result == kSkip) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(result, 0);
}

TEST(FallbackTest, ReportTellsThatSeccompIsInTheWay) {
  const int result = InChild([] {
    if (!RefuseIoUring(EPERM)) return kSkip;
    const ProbeReport report = Probe();
    return !report.ring_usable && report.seccomp_mode == 2 && !report.ring_error.empty() ? 0 : 1;
  });
  if (result == kSkip) GTEST_SKIP() << "no seccomp filters here";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace uringsync
