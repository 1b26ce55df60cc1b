#include "agent/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

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

class ScratchDirectoryTest : public testing::Test {
 protected:
  ScratchDirectoryTest() {
    if (const char* set = ::getenv("TMPDIR")) before_ = set;
    UseOurs();
  }
  ~ScratchDirectoryTest() override {
    if (before_) ::setenv("TMPDIR", before_->c_str(), 1);
    if (!before_) ::unsetenv("TMPDIR");
  }
  void UseOurs() { ::setenv("TMPDIR", dir_.path().c_str(), 1); }
  bool Exists(const std::string& path) const { return std::filesystem::exists(std::filesystem::symlink_status(path)); }
  // A process that makes its own and is killed. The path of what it leaves.
  std::string LeaveOne() {
    int pair[2];
    EXPECT_EQ(::pipe2(pair, O_CLOEXEC), 0);
    const UniqueFd from(pair[0]);
    UniqueFd to(pair[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      const ScratchDirectory scratch;
      if (::write(to.get(), scratch.path().data(), scratch.path().size()) < 0) ::_exit(1);
      ::raise(SIGKILL);
    }
    to.Reset();
    char path[4096];
    const ssize_t got = ::read(from.get(), path, sizeof(path));
    EXPECT_EQ(::waitpid(child, nullptr, 0), child);
    return {path, static_cast<size_t>(std::max<ssize_t>(got, 0))};
  }

  TempDir dir_;
  std::optional<std::string> before_;
};

TEST_F(ScratchDirectoryTest, WhatAKilledProcessLeftGoesWithTheNextOne) {
  const std::string left = LeaveOne();
  ASSERT_TRUE(Exists(left));
  UseOurs();
  std::string own;
  {
    const ScratchDirectory next;
    own = next.path();
    EXPECT_FALSE(Exists(left));
    EXPECT_TRUE(Exists(own));
    EXPECT_EQ(::getenv("TMPDIR"), own);
  }
  EXPECT_FALSE(Exists(own));
}

TEST_F(ScratchDirectoryTest, ThatOfALivingProcessStays) {
  const ScratchDirectory living;
  UseOurs();
  const ScratchDirectory next;
  EXPECT_NE(living.path(), next.path());
  EXPECT_TRUE(Exists(living.path()));
}

TEST_F(ScratchDirectoryTest, WhatIsNotProvenToBeADeadOneStays) {
  const std::string prefix = dir_ / "uringsync-agent-held-";
  // A link, also one to a dead one; something in it; open to others; no directory; names that are no pattern of ours.
  const std::string dead = LeaveOne();
  const std::string elsewhere = dir_ / "elsewhere";
  ASSERT_EQ(::rename(dead.c_str(), elsewhere.c_str()), 0);
  ASSERT_EQ(::symlink("elsewhere", (prefix + "abcdef").c_str()), 0);
  WriteFile(prefix + "bcdefg/file", "x");
  ASSERT_EQ(::chmod((prefix + "bcdefg").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir((prefix + "cdefgh").c_str(), 0755), 0);
  ASSERT_EQ(::chmod((prefix + "cdefgh").c_str(), 0755), 0);
  WriteFile(prefix + "defghi", "x");
  for (const char* name : {"uringsync-agent-abcdef", "uringsync-agent-held-abcdefg", "other"})
    ASSERT_EQ(::mkdir((dir_ / name).c_str(), 0700), 0);
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::mkdir((prefix + "efghij").c_str(), 0700), 0);
    ASSERT_EQ(::chown((prefix + "efghij").c_str(), 65534, 65534), 0);
  }
  UseOurs();
  const ScratchDirectory next;
  for (const char* name : {"abcdef", "bcdefg", "bcdefg/file", "cdefgh", "defghi", "abcdefg"})
    EXPECT_TRUE(Exists(prefix + name)) << name;
  EXPECT_TRUE(Exists(elsewhere));
  EXPECT_TRUE(Exists(dir_ / "uringsync-agent-abcdef"));
  EXPECT_TRUE(Exists(dir_ / "other"));
  if (root) EXPECT_TRUE(Exists(prefix + "efghij"));
}

}  // namespace
}  // namespace uringsync
