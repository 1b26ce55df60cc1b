// gtest matchers for absl::Status and absl::StatusOr.
//
// Use:  EXPECT_OK(Write());  EXPECT_THAT(Open("x"), StatusIs(absl::StatusCode::kNotFound));
//       EXPECT_THAT(Open("x"), StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("x")));
//       ASSERT_OK_AND_ASSIGN(UniqueFd fd, Open("y"));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace uringsync {
namespace test_internal {

inline absl::Status ToStatus(const absl::Status& status) {
  return status;
}
template <typename T>
absl::Status ToStatus(const absl::StatusOr<T>& result) {
  return result.status();
}

class StatusIsMatcher {
 public:
  using is_gtest_matcher = void;
  StatusIsMatcher(absl::StatusCode code, testing::Matcher<const std::string&> message)
      : code_(code), message_(std::move(message)) {}

  template <typename S>
  bool MatchAndExplain(const S& result, testing::MatchResultListener* listener) const {
    const absl::Status status = ToStatus(result);
    if (listener->IsInterested()) *listener << "which is " << std::string(status.ToString());
    return status.code() == code_ && message_.Matches(std::string(status.message()));
  }
  void DescribeTo(std::ostream* os) const {
    *os << "is " << absl::StatusCodeToString(code_) << " with a message that ";
    message_.DescribeTo(os);
  }
  void DescribeNegationTo(std::ostream* os) const {
    *os << "is not ";
    DescribeTo(os);
  }

 private:
  absl::StatusCode code_;
  testing::Matcher<const std::string&> message_;
};

}  // namespace test_internal

// Matches absl::Status or absl::StatusOr<T> by code, and by message where a matcher of std::string is given.
inline test_internal::StatusIsMatcher StatusIs(absl::StatusCode code,
                                               testing::Matcher<const std::string&> message = testing::_) {
  return test_internal::StatusIsMatcher(code, std::move(message));
}
inline test_internal::StatusIsMatcher IsOk() {
  return StatusIs(absl::StatusCode::kOk);
}

// Matches an OK absl::StatusOr<T> whose value matches.
MATCHER_P(IsOkAndHolds, value_matcher, "is OK and holds a matching value") {
  if (!arg.ok()) {
    *result_listener << "which is " << std::string(arg.status().ToString());
    return false;
  }
  return testing::ExplainMatchResult(value_matcher, *arg, result_listener);
}

}  // namespace uringsync

#define EXPECT_OK(expr) EXPECT_THAT((expr), ::uringsync::IsOk())
#define ASSERT_OK(expr) ASSERT_THAT((expr), ::uringsync::IsOk())
#define US_TEST_CONCAT_INNER(a, b) a##b
#define US_TEST_CONCAT(a, b) US_TEST_CONCAT_INNER(a, b)
#define ASSERT_OK_AND_ASSIGN(lhs, expr) ASSERT_OK_AND_ASSIGN_IMPL(US_TEST_CONCAT(us_assert_, __LINE__), lhs, expr)
#define ASSERT_OK_AND_ASSIGN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  ASSERT_OK(tmp);                                 \
  lhs = std::move(tmp).value()
