#include "agent/process.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <thread>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

// Gives the test program its signals back.
class SignalMaskGuard {
 public:
  SignalMaskGuard() { ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_); }
  ~SignalMaskGuard() { ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr); }

 private:
  sigset_t mask_;
};

TEST(WaitForStopTest, ThePeersHangUpEndsTheWaitAndItsBytesDoNot) {
  const SignalMaskGuard guard;
  BlockSignals();
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  ASSERT_EQ(::write(theirs.get(), "x", 1), 1);
  std::thread peer([&theirs] { theirs.Reset(); });
  EXPECT_EQ(*WaitForStop(ours.get()), StopReason::kPeerGone);
  peer.join();
  char byte;
  EXPECT_EQ(::read(ours.get(), &byte, 1), 1);
}

TEST(WaitForStopTest, ASignalEndsTheWaitAndTheNextOneIsDeadly) {
  const SignalMaskGuard guard;
  BlockSignals();
  ASSERT_EQ(::pthread_kill(::pthread_self(), SIGTERM), 0);
  EXPECT_EQ(*WaitForStop(-1), StopReason::kSignal);
  sigset_t now;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
  EXPECT_FALSE(sigismember(&now, SIGTERM));
  struct sigaction action;
  ::sigaction(SIGTERM, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
}

TEST(RaiseFileLimitTest, TheSoftLimitBecomesTheHardOne) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(RaiseFileLimit(), limit.rlim_max);
}

}  // namespace
}  // namespace uringsync
