// Every operation of a run fails in turn, with every errno that it may fail with, at many of its occurrences: whatever
// the run says of it, the destination is not damaged, nobody is told that all went well when it did not, and the next
// run makes everything right.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fault/small_world.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

// Occurrences of one operation that are failed: the first ones, and others spread over the rest; with
// URINGSYNC_FAULTS=all every one.
std::vector<uint64_t> Chosen(uint64_t count) {
  const char* const wanted = std::getenv("URINGSYNC_FAULTS");
  const bool all = wanted != nullptr && std::string_view(wanted) == "all";
  const uint64_t first = all ? count : 2;
  constexpr uint64_t kSpread = 2;
  std::set<uint64_t> chosen;
  for (uint64_t n = 1; n <= std::min(count, first); ++n) chosen.insert(n);
  for (uint64_t i = 1; i <= kSpread && count > first; ++i) chosen.insert(first + (count - first) * i / kSpread);
  return {chosen.begin(), chosen.end()};
}

std::vector<int> ErrnosOf(CallCode code) {
  switch (code) {
    // They cannot fail, or what they do is a hint.
    case CallCode::kClose:
    case CallCode::kMunmap: return {};
    // EOPNOTSUPP means that there are no attributes.
    case CallCode::kGetxattr:
    case CallCode::kFgetxattr:
    case CallCode::kListxattr:
    case CallCode::kFlistxattr:
    case CallCode::kGetxattrat:
    case CallCode::kListxattrat: return {EIO, EACCES};
    case CallCode::kMkdirat:
    case CallCode::kSymlinkat:
    case CallCode::kMknodat:
    case CallCode::kLinkat:
    case CallCode::kRenameat2:
    case CallCode::kFallocate:
    case CallCode::kFtruncate:
    case CallCode::kSetxattr:
    case CallCode::kFsetxattr:
    case CallCode::kSetxattrat:
    case CallCode::kCopyFileRange:
    case CallCode::kIoctl: return {EIO, ENOSPC, EPERM, EOPNOTSUPP};
    case CallCode::kOpenat:
    case CallCode::kOpenat2: return {EIO, EACCES, ENOENT, EMFILE};
    default: return {EIO, EACCES, EOPNOTSUPP};
  }
}

std::vector<int> ErrnosOf(OpCode code) {
  switch (code) {
    case OpCode::kRead: return {EIO, ENOMEM};
    case OpCode::kWrite:
    case OpCode::kFallocate: return {EIO, ENOSPC, EDQUOT};
    case OpCode::kFsync: return {EIO, ENOSPC};
    default: return {};
  }
}

class ErrnoSweepTest : public testing::TestWithParam<IoBackend> {
 protected:
  void SetUp() override {
    if (GetParam() == IoBackend::kUring && !Probe()) GTEST_SKIP() << "io_uring is refused here";
    world_ = std::make_unique<SmallWorld>(GetParam());
    world_->Reset();
    const WorldRun run = world_->Sync();
    ASSERT_EQ(run.outcome.exit_code, ExitCode::kOk) << run.outcome.error;
    ASSERT_EQ(world_->Missing(), "");
  }
  static bool Probe() {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = IoBackend::kUring;
    return Runtime::Start(std::move(options)).ok();
  }

  // Runs with one fault, and then without.
  void Try(const std::string& what) {
    SCOPED_TRACE(what);
    ++tried_;
    const uint64_t before = world_->plan().injected();
    const WorldRun run = world_->Sync();
    const bool happened = world_->plan().injected() > before;
    world_->plan().Clear();
    hit_ += happened;
    const std::string told =
        run.outcome.error +
        (run.problems.empty() ? "" : " " + run.problems[0].operation + " " + run.problems[0].path.text());
    EXPECT_EQ(world_->Damage(/*strays=*/false), "") << told;
    EXPECT_NE(run.outcome.exit_code, ExitCode::kTimeout) << "it hung: " << told;
    if (run.outcome.exit_code == ExitCode::kOk) {
      EXPECT_EQ(world_->Missing(), "") << "exit code 0";
    } else {
      ++failed_;
      EXPECT_TRUE(!run.problems.empty() || !run.outcome.error.empty()) << "it failed and said nothing";
      const WorldRun again = world_->Sync();
      EXPECT_EQ(again.outcome.exit_code, ExitCode::kOk)
          << again.outcome.error
          << (again.problems.empty() ? "" : again.problems[0].operation + " " + again.problems[0].path.text());
      EXPECT_EQ(world_->Missing(), "") << "after a second run; the first said: " << told;
      EXPECT_EQ(world_->Damage(/*strays=*/true), "");
    }
    world_->Reset();
  }

  // A whole run under the filters that count, and everything as before it.
  ExitCode CountedRun() {
    world_->Reset();
    const ExitCode code = world_->Sync().outcome.exit_code;
    world_->plan().Clear();
    world_->Reset();
    return code;
  }

  void Report() const { std::printf("%lu faults in %lu runs, %lu of which failed\n", hit_, tried_, failed_); }

  std::unique_ptr<SmallWorld> world_;
  uint64_t tried_ = 0;
  uint64_t hit_ = 0;
  uint64_t failed_ = 0;
};

TEST_P(ErrnoSweepTest, EveryInlineCallFailsInTurn) {
  if (GetParam() == IoBackend::kUring) GTEST_SKIP() << "calls are the same on both backends";
  std::array<uint64_t, static_cast<size_t>(CallCode::kCount)> counts{};
  std::mutex mutex;
  world_->plan().FilterCalls([&](CallCode code, const long(&)[6]) {
    std::lock_guard lock(mutex);
    ++counts[static_cast<size_t>(code)];
    return 0;
  });
  ASSERT_EQ(CountedRun(), ExitCode::kOk);
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto code = static_cast<CallCode>(i);
    for (const uint64_t nth : Chosen(counts[i])) {
      for (const int error : ErrnosOf(code)) {
        world_->plan().Fail(code, nth, error);
        Try(std::string(CallCodeName(code)) + " number " + std::to_string(nth) + " of " + std::to_string(counts[i]) +
            ": " + std::to_string(error));
        if (HasFatalFailure()) return;
      }
    }
  }
  Report();
  EXPECT_GT(hit_, 200U);
}

TEST_P(ErrnoSweepTest, EveryOperationFailsInTurnAndIsCutShort) {
  std::array<uint64_t, static_cast<size_t>(OpCode::kCount)> counts{};
  std::mutex mutex;
  world_->plan().FilterOps([&](const Op& op) {
    std::lock_guard lock(mutex);
    ++counts[static_cast<size_t>(op.code)];
    return 0;
  });
  ASSERT_EQ(CountedRun(), ExitCode::kOk);
  for (size_t i = 0; i < counts.size(); ++i) {
    const auto code = static_cast<OpCode>(i);
    for (const uint64_t nth : Chosen(counts[i])) {
      for (const int error : ErrnosOf(code)) {
        world_->plan().Fail(code, nth, error);
        Try(std::string(OpCodeName(code)) + " number " + std::to_string(nth) + ": " + std::to_string(error));
        world_->plan().FailFrom(code, nth, error);
        Try(std::string(OpCodeName(code)) + " from number " + std::to_string(nth) + " on: " + std::to_string(error));
      }
      if (code != OpCode::kRead && code != OpCode::kWrite) continue;
      for (const auto& [bytes, times] : {std::pair{1U, uint64_t{40}}, std::pair{4096U, FaultPlan::kForever}}) {
        world_->plan().Shorten(code, nth, bytes, times);
        Try(std::string(OpCodeName(code)) + " cut to " + std::to_string(bytes) + " from number " + std::to_string(nth));
      }
    }
  }
  Report();
  EXPECT_GT(hit_, 30U);
}

INSTANTIATE_TEST_SUITE_P(Backends, ErrnoSweepTest, testing::Values(IoBackend::kUring, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "uring" : "threads"; });

}  // namespace
}  // namespace uringsync
