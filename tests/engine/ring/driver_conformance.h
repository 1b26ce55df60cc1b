// The fixture of the suite for both drivers: natively, as on kernels 5.15 and 5.6, and with completions late and
// shuffled.
//
// One test file for each concept, each with a fixture of its own. Use:  class DriverFileTest : public
// DriverConformanceTest {};
//       US_INSTANTIATE_FOR_DRIVERS(DriverFileTest);
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>

#include "tests/engine/ring/op_helpers.h"
#include "tests/support/late_driver.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {

struct DriverParam {
  IoBackend backend;
  KernelLevel level;
  bool late = false;
};

inline std::string DriverParamName(const testing::TestParamInfo<DriverParam>& info) {
  const DriverParam& param = info.param;
  const char* level = param.level == KernelLevel::kNative ? "native"
                      : param.level == KernelLevel::k5_15 ? "k5_15"
                                                          : "k5_6";
  return std::string(param.backend == IoBackend::kUring ? "uring_" : "threads_") + level + (param.late ? "_late" : "");
}

class DriverConformanceTest : public testing::TestWithParam<DriverParam> {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam().backend;
    options.driver.level = GetParam().level;
    if (GetParam().late) options.wrap_driver = LateDriver::Wrapper(LateDriver::SeedFromEnvironment());
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
    if (!runtime.ok() && GetParam().backend == IoBackend::kUring)
      GTEST_SKIP() << "io_uring is refused here: " << std::string(runtime.status().message());
    ASSERT_OK(runtime);
    runtime_ = *std::move(runtime);
  }

  Shard& shard() { return runtime_->shard(0); }
  int64_t Run(Op op) { return RunOn(shard(), Do(op)); }
  UniqueFd Open(const std::string& name, int flags) {
    UniqueFd fd(::open((dir_ / name).c_str(), flags | O_CLOEXEC, 0600));
    EXPECT_TRUE(fd.valid()) << name << ": " << std::strerror(errno);
    return fd;
  }

  TempDir dir_;
  std::unique_ptr<Runtime> runtime_;
};
inline auto AllDrivers() {
  return testing::Values(
      DriverParam{IoBackend::kUring, KernelLevel::kNative}, DriverParam{IoBackend::kUring, KernelLevel::k5_15},
      DriverParam{IoBackend::kUring, KernelLevel::k5_6}, DriverParam{IoBackend::kUring, KernelLevel::kNative, true},
      DriverParam{IoBackend::kThreads, KernelLevel::kNative}, DriverParam{IoBackend::kThreads, KernelLevel::k5_15},
      DriverParam{IoBackend::kThreads, KernelLevel::k5_6},
      DriverParam{IoBackend::kThreads, KernelLevel::kNative, true});
}

#define US_INSTANTIATE_FOR_DRIVERS(Fixture) INSTANTIATE_TEST_SUITE_P(Drivers, Fixture, AllDrivers(), DriverParamName)

// Carries out `op` and keeps its result.
inline Task<void> Store(Op op, int64_t* result) {
  *result = co_await Do(op);
}

}  // namespace uringsync
