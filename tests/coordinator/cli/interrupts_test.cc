#include "coordinator/cli/interrupts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <future>
#include <utility>

namespace uringsync {
namespace {

TEST(InterruptsTest, SignalsArriveCountedAndInOrder) {
  std::promise<std::pair<int, int>> first;
  std::promise<std::pair<int, int>> second;
  Interrupts interrupts;
  interrupts.Watch([&](int signal, int count) {
    if (count == 1) first.set_value({signal, count});
    if (count == 2) second.set_value({signal, count});
  });
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  EXPECT_EQ(first.get_future().get(), std::pair(SIGTERM, 1));
  ASSERT_EQ(::kill(::getpid(), SIGINT), 0);
  EXPECT_EQ(second.get_future().get(), std::pair(SIGINT, 2));
}

TEST(InterruptsTest, SignalFromBeforeTheWatchIsNotLost) {
  std::promise<int> first;
  Interrupts interrupts;
  ASSERT_EQ(::kill(::getpid(), SIGINT), 0);
  interrupts.Watch([&](int signal, int) { first.set_value(signal); });
  EXPECT_EQ(first.get_future().get(), SIGINT);
}

TEST(InterruptsTest, MaskIsRestored) {
  {
    Interrupts interrupts;
  }
  sigset_t now;
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &now), 0);
  EXPECT_FALSE(sigismember(&now, SIGINT));
  EXPECT_FALSE(sigismember(&now, SIGTERM));
}

}  // namespace
}  // namespace uringsync
