// The fault driver keeps its promises, or tests built on it prove nothing.

#include "tests/support/fault_driver.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "engine/coro/scope.h"
#include "tests/engine/ring/op_helpers.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

class FaultDriverTest : public testing::TestWithParam<IoBackend> {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam();
    options.wrap_driver = plan_->Wrapper();
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
    if (!runtime.ok() && GetParam() == IoBackend::kUring) GTEST_SKIP() << "io_uring is refused here";
    ASSERT_OK(runtime);
    runtime_ = *std::move(runtime);
    WriteFile(dir_ / "f", "0123456789");
    fd_.Reset(::open((dir_ / "f").c_str(), O_RDWR | O_CLOEXEC));
  }
  int64_t Run(Op op) { return RunOn(runtime_->shard(0), Do(op)); }
  int64_t Read(size_t size) {
    char buffer[64];
    return Run(ReadOp(fd_.get(), buffer, size, 0));
  }

  TempDir dir_;
  UniqueFd fd_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Runtime> runtime_;
};

INSTANTIATE_TEST_SUITE_P(Drivers, FaultDriverTest, testing::Values(IoBackend::kUring, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "uring" : "threads"; });

TEST_P(FaultDriverTest, OnlyTheNthOperationFails) {
  plan_->Fail(OpCode::kRead, 2, EIO);
  EXPECT_EQ(Read(4), 4);
  EXPECT_EQ(Run(WriteOp(fd_.get(), "x", 1, 0)), 1) << "another code counts apart";
  EXPECT_EQ(Read(4), -EIO);
  EXPECT_EQ(Read(4), 4);
  EXPECT_EQ(plan_->injected(), 1U);
}

TEST_P(FaultDriverTest, FailFromGoesOnUntilCleared) {
  plan_->FailFrom(OpCode::kWrite, 2, ENOSPC);
  EXPECT_EQ(Run(WriteOp(fd_.get(), "a", 1, 0)), 1);
  EXPECT_EQ(Run(WriteOp(fd_.get(), "b", 1, 0)), -ENOSPC);
  EXPECT_EQ(Run(WriteOp(fd_.get(), "c", 1, 0)), -ENOSPC);
  EXPECT_EQ(ReadFile(dir_ / "f"), "a123456789") << "a failed write had an effect";
  plan_->Clear();
  EXPECT_EQ(Run(WriteOp(fd_.get(), "d", 1, 0)), 1);
}

TEST_P(FaultDriverTest, ShortTransferHasExactlyTheShortEffect) {
  plan_->Shorten(OpCode::kRead, 1, 3);
  plan_->Shorten(OpCode::kWrite, 1, 2);
  EXPECT_EQ(Read(8), 3);
  EXPECT_EQ(Run(WriteOp(fd_.get(), "wxyz", 4, 0)), 2);
  EXPECT_EQ(ReadFile(dir_ / "f"), "wx23456789");
}

TEST_P(FaultDriverTest, DelayedOperationIsOvertaken) {
  struct Test {
    static Task<void> Note(Op op, std::string name, std::string* order) {
      co_await Do(op);
      *order += name;
    }
    static Task<void> Body(int fd, std::string* order) {
      char a = 0;
      char b = 0;
      Scope scope;
      scope.Spawn(Note(ReadOp(fd, &a, 1, 0), "a", order));
      scope.Spawn(Note(ReadOp(fd, &b, 1, 1), "b", order));
      co_await scope.Join();
      EXPECT_EQ(a, '0');
      EXPECT_EQ(b, '1');
    }
  };
  plan_->Delay(OpCode::kRead, 1, 20);
  std::string order;
  RunOn(runtime_->shard(0), Test::Body(fd_.get(), &order));
  EXPECT_EQ(order, "ba");
}

Task<long> FsyncCall(int fd) {
  const long result = Shard::Current()->driver()->Call(CallCode::kFsync, fd);
  co_return result;
}

TEST_P(FaultDriverTest, InlineCallsFailByRuleAndByFilter) {
  plan_->Fail(CallCode::kFsync, 1, EDQUOT);
  EXPECT_EQ(RunOn(runtime_->shard(0), FsyncCall(fd_.get())), -EDQUOT);
  EXPECT_EQ(RunOn(runtime_->shard(0), FsyncCall(fd_.get())), 0);
  const int bad = fd_.get();
  plan_->FilterCalls([bad](CallCode code, const long(&arguments)[6]) {
    return code == CallCode::kFsync && arguments[0] == bad ? EROFS : 0;
  });
  EXPECT_EQ(RunOn(runtime_->shard(0), FsyncCall(fd_.get())), -EROFS);
}

}  // namespace
}  // namespace uringsync
