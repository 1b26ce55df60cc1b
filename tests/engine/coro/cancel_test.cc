#include "engine/coro/cancel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

TEST(CancelTest, DefaultTokenIsNeverCancelled) {
  CancelToken token;
  EXPECT_FALSE(token.cancelled());
  EXPECT_OK(token.status());
  CancelToken::Registration registration = token.OnCancel([] { FAIL(); });
}

TEST(CancelTest, FirstReasonWins) {
  CancelSource source;
  const CancelToken token = source.token();
  EXPECT_FALSE(token.cancelled());
  source.Cancel(absl::DeadlineExceededError("late"));
  source.Cancel(absl::InternalError("other"));
  EXPECT_TRUE(token.cancelled());
  EXPECT_THAT(token.status(), StatusIs(absl::StatusCode::kDeadlineExceeded, "late"));
}

TEST(CancelTest, OkAsAReasonStillCancels) {
  CancelSource source;
  source.Cancel(absl::OkStatus());
  EXPECT_THAT(source.token().status(), StatusIs(absl::StatusCode::kCancelled));
}

TEST(CancelTest, CallbacksRunOnceEachInOrder) {
  CancelSource source;
  std::vector<int> order;
  CancelToken::Registration a = source.token().OnCancel([&order] { order.push_back(1); });
  CancelToken::Registration b = source.token().OnCancel([&order] { order.push_back(2); });
  source.Cancel(absl::CancelledError(""));
  source.Cancel(absl::CancelledError(""));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(CancelTest, RegistrationAfterCancelRunsAtOnce) {
  CancelSource source;
  source.Cancel(absl::CancelledError(""));
  bool ran = false;
  CancelToken::Registration registration = source.token().OnCancel([&ran] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(CancelTest, EndedRegistrationIsNotCalled) {
  CancelSource source;
  bool ran = false;
  {
    CancelToken::Registration first = source.token().OnCancel([&ran] { ran = true; });
    CancelToken::Registration second = std::move(first);
    CancelToken::Registration third;
    third = std::move(second);
  }
  source.Cancel(absl::CancelledError(""));
  EXPECT_FALSE(ran);
}

TEST(CancelTest, CallbackMayEndItsOwnRegistration) {
  CancelSource source;
  std::optional<CancelToken::Registration> registration;
  registration.emplace(source.token().OnCancel([&registration] { registration.reset(); }));
  source.Cancel(absl::CancelledError(""));
  EXPECT_FALSE(registration.has_value());
}

TEST(CancelTest, TokenOutlivesItsSource) {
  CancelToken token;
  {
    CancelSource source;
    token = source.token();
    source.Cancel(absl::AbortedError("gone"));
  }
  EXPECT_THAT(token.status(), StatusIs(absl::StatusCode::kAborted));
}

// The destructor of a registration waits for a callback that runs elsewhere: what the callback uses may die after it.
TEST(CancelTest, EndOfARegistrationWaitsForItsCallback) {
  for (int round = 0; round < 500; ++round) {
    CancelSource source;
    auto used = std::make_unique<std::atomic<int>>(0);
    std::thread canceller([&source] { source.Cancel(absl::CancelledError("")); });
    {
      std::atomic<int>* raw = used.get();
      CancelToken::Registration registration = source.token().OnCancel([raw] { raw->fetch_add(1); });
    }
    const int runs = used->load();
    EXPECT_LE(runs, 1);
    used.reset();
    canceller.join();
  }
}

}  // namespace
}  // namespace uringsync
