// Every operation of a run fails in turn, with every errno that it may fail with, at many of its occurrences: whatever
// the run says of it, the destination is not damaged, nobody is told that all went well when it did not, and the next
// run makes everything right.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fault/small_world.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

// What every operation is failed with, whether a kernel would say it or not: a file system in user space may.
constexpr int kErrnos[] = {EIO, ENOSPC, EDQUOT, EACCES, EINTR, EAGAIN, ENOMEM, EMFILE};
// Faults of the sweeps that are tried, unless URINGSYNC_FAULTS says how many of each, or "all".
constexpr size_t kSampledCalls = 140;
constexpr size_t kSampledOperations = 60;
constexpr uint64_t kSomeTimes = 40;

// What one fault of a sweep is.
template <typename Code>
struct Fault {
  Code code;
  uint64_t nth = 1;
  int error = 0;            // 0: at most `max_bytes` are moved
  uint32_t max_bytes = 0;
  uint64_t times = 1;
};

// Errnos of `code` beside kErrnos: what sends it another way.
std::vector<int> MoreErrnosOf(CallCode code) {
  switch (code) {
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
    case CallCode::kIoctl: return {EPERM, EOPNOTSUPP};
    case CallCode::kOpenat:
    case CallCode::kOpenat2: return {ENOENT};
    // EOPNOTSUPP means that there are no attributes.
    case CallCode::kGetxattr:
    case CallCode::kFgetxattr:
    case CallCode::kListxattr:
    case CallCode::kFlistxattr:
    case CallCode::kGetxattrat:
    case CallCode::kListxattrat: return {};
    default: return {EOPNOTSUPP};
  }
}

// They cannot fail, or nobody can do anything about it.
bool CannotFail(CallCode code) {
  return code == CallCode::kClose || code == CallCode::kMunmap;
}

// Timers are the driver's own, and local runs have no sockets.
bool CanFail(OpCode code) {
  return code == OpCode::kRead || code == OpCode::kWrite || code == OpCode::kFallocate || code == OpCode::kFsync;
}

std::vector<Fault<CallCode>> FaultsOf(CallCode code, uint64_t count) {
  std::vector<Fault<CallCode>> faults;
  if (CannotFail(code)) return faults;
  std::vector<int> errnos(std::begin(kErrnos), std::end(kErrnos));
  for (const int error : MoreErrnosOf(code)) errnos.push_back(error);
  const bool moves = code == CallCode::kPread || code == CallCode::kPwrite;
  for (uint64_t nth = 1; nth <= count; ++nth) {
    for (const int error : errnos) faults.push_back({code, nth, error});
    if (moves) faults.push_back({code, nth, 0, 1});
  }
  for (const int error : {EIO, ENOSPC, EDQUOT}) {
    if (code == CallCode::kPwrite) faults.push_back({code, 1, error, 0, FaultPlan::kForever});
  }
  return faults;
}

std::vector<Fault<OpCode>> FaultsOf(OpCode code, uint64_t count) {
  std::vector<Fault<OpCode>> faults;
  if (!CanFail(code)) return faults;
  for (uint64_t nth = 1; nth <= count; ++nth) {
    for (const int error : kErrnos) {
      faults.push_back({code, nth, error});
      faults.push_back({code, nth, error, 0, FaultPlan::kForever});
    }
    if (code != OpCode::kRead && code != OpCode::kWrite) continue;
    faults.push_back({code, nth, 0, 1, kSomeTimes});
    faults.push_back({code, nth, 0, 4096, FaultPlan::kForever});
  }
  return faults;
}

// All of `faults`, or as many as are to be tried, equally spread: the first of each code among them.
template <typename Code>
std::vector<Fault<Code>> Chosen(const std::vector<std::vector<Fault<Code>>>& by_code, size_t most) {
  size_t all = 0;
  for (const auto& faults : by_code) all += faults.size();
  const char* const asked = std::getenv("URINGSYNC_FAULTS");
  const std::string_view wanted = asked == nullptr ? "" : asked;
  if (wanted == "all") most = all;
  if (asked != nullptr && wanted != "all") most = std::strtoul(asked, nullptr, 10);
  const size_t stride = std::max<size_t>(1, all / std::max<size_t>(1, most));
  std::vector<Fault<Code>> chosen;
  for (const auto& faults : by_code) {
    for (size_t i = 0; i < faults.size(); i += stride) chosen.push_back(faults[i]);
  }
  std::printf("%zu of %zu faults\n", chosen.size(), all);
  return chosen;
}

template <typename Code>
void Inject(FaultPlan* plan, const Fault<Code>& fault) {
  if (fault.error != 0) {
    plan->Fail(fault.code, fault.nth, fault.error, fault.times);
  } else {
    plan->Shorten(fault.code, fault.nth, fault.max_bytes, fault.times);
  }
}

template <typename Code>
std::string Describe(const char* name, const Fault<Code>& fault) {
  std::string text = std::string(name) + " number " + std::to_string(fault.nth);
  if (fault.times != 1) text += fault.times == FaultPlan::kForever ? " and all later ones" : " and some later ones";
  return text + (fault.error != 0 ? ": errno " + std::to_string(fault.error)
                                  : " cut to " + std::to_string(fault.max_bytes));
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
  std::vector<std::vector<Fault<CallCode>>> faults;
  for (size_t i = 0; i < counts.size(); ++i) faults.push_back(FaultsOf(static_cast<CallCode>(i), counts[i]));
  for (const Fault<CallCode>& fault : Chosen(faults, kSampledCalls)) {
    Inject(&world_->plan(), fault);
    Try(Describe(CallCodeName(fault.code), fault));
    if (HasFatalFailure()) return;
  }
  Report();
  EXPECT_GT(hit_, 100U);
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
  std::vector<std::vector<Fault<OpCode>>> faults;
  for (size_t i = 0; i < counts.size(); ++i) faults.push_back(FaultsOf(static_cast<OpCode>(i), counts[i]));
  for (const Fault<OpCode>& fault : Chosen(faults, kSampledOperations)) {
    Inject(&world_->plan(), fault);
    Try(Describe(OpCodeName(fault.code), fault));
    if (HasFatalFailure()) return;
  }
  Report();
  EXPECT_GT(hit_, 30U);
}

INSTANTIATE_TEST_SUITE_P(Backends, ErrnoSweepTest, testing::Values(IoBackend::kUring, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "uring" : "threads"; });

}  // namespace
}  // namespace uringsync
