#include "engine/base/exhaustion.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <new>
#include <system_error>

namespace uringsync {
namespace {

TEST(ExhaustionDeathTest, AThreadThatCannotStartIsToldInWordsWithAnExitCode) {
  EXPECT_EXIT(
      {
        EndInWordsWhenExhausted("program");
        const auto fail = []() noexcept {
          std::rethrow_exception(std::make_exception_ptr(
              std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again))));
        };
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

TEST(ExhaustionDeathTest, ThreadsThatTheLimitDoesNotAllowAreFoundOut) {
  if (::geteuid() != 0) GTEST_SKIP() << "another user's limit needs root";
  EXPECT_EXIT(
      {
        EndInWordsWhenExhausted("program");
        rlimit limit{};
        limit.rlim_cur = limit.rlim_max = 4;
        // A user of its own: the limit counts all threads of one. Root has none.
        if (::setrlimit(RLIMIT_NPROC, &limit) != 0 || ::setresuid(61237, 61237, 61237) != 0) ::_exit(1);
        ProveThreads(8);
        ::_exit(0);
      },
      testing::ExitedWithCode(11), "program: the system refuses to start another thread; raise");
}

TEST(ExhaustionTest, ThreadsThatCanRunAreGoneAfterwards) {
  ProveThreads(8);
}

}  // namespace
}  // namespace uringsync
