// What only the ring driver promises: batching, buffers under RLIMIT_MEMLOCK, honest hand-off counts.

#include "engine/ring/uring_driver.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "engine/coro/scope.h"
#include "tests/engine/ring/op_helpers.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

class UringDriverTest : public testing::Test {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = IoBackend::kUring;
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
    if (!runtime.ok()) GTEST_SKIP() << "io_uring is refused here: " << std::string(runtime.status().message());
    runtime_ = *std::move(runtime);
    EXPECT_EQ(runtime_->backend(), "uring");
    EXPECT_EQ(runtime_->fallback_reason(), "");
  }
  Shard& shard() { return runtime_->shard(0); }

  TempDir dir_;
  std::unique_ptr<Runtime> runtime_;
};

Task<void> ReadByte(int fd, char* byte, int64_t* result) {
  *result = co_await Do(ReadOp(fd, byte, 1, 0));
}

Task<void> ReadManyAtOnce(int fd) {
  std::vector<char> bytes(100);
  std::vector<int64_t> results(100);
  Scope scope;
  for (size_t i = 0; i < bytes.size(); ++i) scope.Spawn(ReadByte(fd, &bytes[i], &results[i]));
  co_await scope.Join();
  for (int64_t result : results) EXPECT_EQ(result, 1);
}

TEST_F(UringDriverTest, ManyCoroutinesShareOneEnter) {
  WriteFile(dir_ / "f", "x");
  UniqueFd fd(::open((dir_ / "f").c_str(), O_RDONLY | O_CLOEXEC));
  const uint64_t before = runtime_->Counters().enters;
  RunOn(shard(), ReadManyAtOnce(fd.get()));
  EXPECT_LT(runtime_->Counters().enters - before, 12U);
}

TEST_F(UringDriverTest, CachedReadsAreInlineAndFsyncIsHandedOff) {
  WriteFile(dir_ / "f", "x");
  UniqueFd fd(::open((dir_ / "f").c_str(), O_RDWR | O_CLOEXEC));
  RunOn(shard(), ReadManyAtOnce(fd.get()));
  RunOn(shard(), ReadManyAtOnce(fd.get()));
  EXPECT_EQ(RunOn(shard(), Do({.code = OpCode::kFsync, .fd = fd.get()})), 0);
  const DriverCounters counters = runtime_->Counters();
  EXPECT_EQ(counters.submitted[Index(OpCode::kRead)], 200U);
  EXPECT_EQ(counters.ring_inline[Index(OpCode::kRead)] + counters.handed_off[Index(OpCode::kRead)], 200U);
  // File systems without non-blocking reads hand the first ones off; the second hundred is in the cache of all others.
  EXPECT_GE(counters.ring_inline[Index(OpCode::kRead)], 0U);
  EXPECT_EQ(counters.handed_off[Index(OpCode::kFsync)], 1U);
}

Task<absl::Status> Register(size_t size_bytes, void* base) {
  absl::Status status = Shard::Current()->driver()->RegisterBuffer(200, base, size_bytes);
  co_return status;
}

Task<absl::Status> RegisterOutOfRange(void* base) {
  absl::Status status = Shard::Current()->driver()->RegisterBuffer(1 << 20, base, 4096);
  co_return status;
}

TEST_F(UringDriverTest, BufferThatCannotBeRegisteredIsAPlainError) {
  alignas(4096) static char page[4096];
  EXPECT_THAT(RunOn(shard(), RegisterOutOfRange(page)), StatusIs(absl::StatusCode::kInvalidArgument));
  const absl::Status bad = RunOn(shard(), Register(4096, nullptr));
  if (bad.code() == absl::StatusCode::kUnimplemented) GTEST_SKIP() << "no sparse buffer tables here";
  EXPECT_FALSE(bad.ok());
  // A pool on top of that refusal works with plain buffers.
  EXPECT_OK(RunOn(shard(), Register(4096, page)));
}

TEST_F(UringDriverTest, OldLevelsLackTheNewSetupFlags) {
  for (KernelLevel level : {KernelLevel::k5_15, KernelLevel::k5_6}) {
    const ProbeReport report = Probe(level);
    ASSERT_TRUE(report.ring_usable) << report.ring_error;
    EXPECT_EQ(report.setup_flags, level == KernelLevel::k5_15 ? "CQSIZE|CLAMP|R_DISABLED" : "CQSIZE|CLAMP");
    EXPECT_EQ(report.features.restricted, level == KernelLevel::k5_15);
    EXPECT_EQ(report.features.fast_poll, level == KernelLevel::k5_15);
    EXPECT_EQ(report.features.wait_timeout_argument, level == KernelLevel::k5_15);
    EXPECT_FALSE(report.features.sparse_buffers);
    EXPECT_THAT(report.missing_calls, testing::Contains("getxattrat"));
  }
}

// The result of one operation that was prepared by `prepare`.
template <typename Prepare>
int ResultOf(io_uring* ring, Prepare prepare) {
  prepare(io_uring_get_sqe(ring));
  io_uring_cqe* cqe = nullptr;
  if (io_uring_submit(ring) < 0 || io_uring_wait_cqe(ring, &cqe) < 0) return -EIO;
  const int result = cqe->res;
  io_uring_cqe_seen(ring, cqe);
  return result;
}

TEST_F(UringDriverTest, ARingCarriesOutTheEnginesOperationsAlone) {
  io_uring ring;
  const absl::StatusOr<RingFeatures> features = SetUpRing(DriverOptions(), &ring);
  ASSERT_OK(features.status());
  if (!features->restricted) {
    io_uring_queue_exit(&ring);
    GTEST_SKIP() << "rings cannot be restricted here";
  }
  EXPECT_EQ(ResultOf(&ring, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); }), 0);
  EXPECT_EQ(ResultOf(&ring, [](io_uring_sqe* sqe) { io_uring_prep_openat(sqe, AT_FDCWD, "/", O_RDONLY, 0); }), -EACCES);
  EXPECT_EQ(ResultOf(&ring, [](io_uring_sqe* sqe) { io_uring_prep_unlink(sqe, "/nothing/here", 0); }), -EACCES);
  // Drained operations would hold up all others.
  EXPECT_EQ(ResultOf(&ring,
                     [](io_uring_sqe* sqe) {
                       io_uring_prep_nop(sqe);
                       sqe->flags |= IOSQE_IO_DRAIN;
                     }),
            -EACCES);
  int descriptor = 0;
  EXPECT_EQ(io_uring_register_files(&ring, &descriptor, 1), -EACCES);
  io_uring_queue_exit(&ring);
}

}  // namespace
}  // namespace uringsync
