#include "engine/base/exhaustion.h"

#include <gtest/gtest.h>

#include <exception>
#include <new>
#include <system_error>

namespace uringsync {
namespace {

TEST(ExhaustionDeathTest, AThreadThatCannotStartIsToldInWordsWithAnExitCode) {
  EXPECT_EXIT(
      {
        EndInWordsWhenExhausted("program");
        const auto fail = []() noexcept { std::rethrow_exception(std::make_exception_ptr(std::system_error(
            std::make_error_code(std::errc::resource_unavailable_try_again)))); };
        fail();
      },
      testing::ExitedWithCode(11), "program: the system refuses to start another thread; raise");
}

TEST(ExhaustionDeathTest, MemoryThatCannotBeHadIsToldInWordsWithAnExitCode) {
  EXPECT_EXIT(
      {
        EndInWordsWhenExhausted("program");
        const auto fail = []() noexcept { std::rethrow_exception(std::make_exception_ptr(std::bad_alloc())); };
        fail();
      },
      testing::ExitedWithCode(11), "program: out of memory; raise");
}

}  // namespace
}  // namespace uringsync
