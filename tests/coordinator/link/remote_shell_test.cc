// The shell's side of a remote shell, with scripts in its place; whole runs are tests/integration/remote_shell_test.py.
#include "coordinator/link/remote_shell.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

class RemoteShellTest : public testing::Test {
 protected:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }
  absl::StatusOr<std::unique_ptr<RemoteShell>> Start(const std::string& body) {
    return RemoteShell::Start({"/bin/sh", "-c", body, "uringsync-agent", "--stdio"}, "user@far", nullptr);
  }
  absl::Status Greeted(const std::string& body) {
    absl::StatusOr<std::unique_ptr<RemoteShell>> shell = Start(body);
    return shell.ok() ? (*shell)->Greet() : shell.status();
  }
};

TEST_F(RemoteShellTest, AnAgentThatGreetsIsLetIn) {
  ASSERT_OK_AND_ASSIGN(auto shell, Start("printf 'uringsync-mux/1\\nrest'; cat >/dev/null"));
  // Whoever takes the pipes may have made them non-blocking already.
  ::fcntl(shell->input(), F_SETFL, ::fcntl(shell->input(), F_GETFL) | O_NONBLOCK);
  EXPECT_OK(shell->Greet());
  char rest[8] = {};
  EXPECT_EQ(::read(shell->input(), rest, 4), 4);
  EXPECT_STREQ(rest, "rest");
  shell->ReleasePipes();
  shell->Stop(std::chrono::seconds(60));
  EXPECT_EQ(shell->Ending(std::chrono::milliseconds(0)), "exited with status 0");
}

TEST_F(RemoteShellTest, WhatAShellPrintsIsShownAndCountsAsAnotherVersion) {
  const absl::Status junk = Greeted("echo 'Last login: never'; cat >/dev/null");
  EXPECT_EQ(LinkExitCode(junk), ExitCode::kVersion);
  EXPECT_THAT(std::string(junk.message()), HasSubstr("is your shell clean? user@far began with \"Last login: never"));
  EXPECT_EQ(LinkExitCode(Greeted("printf 'uringsync-mux/7\\n'; cat >/dev/null")), ExitCode::kVersion);
  EXPECT_EQ(LinkExitCode(Greeted("printf 'urings'; exec >&-; cat >/dev/null")), ExitCode::kVersion);
}

TEST_F(RemoteShellTest, AShellThatEndsHandsItsCodeThrough) {
  const absl::Status missing = Greeted("echo 'sh: uringsync-agent: not found' >&2; exit 127");
  EXPECT_EQ(LinkExitCode(missing), ExitCode::kRemoteNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("user@far"));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("install uringsync on that host"));
  EXPECT_EQ(LinkExitCode(Greeted("exit 126")), ExitCode::kRemoteNotRun);
  const absl::Status refused = Greeted("echo 'Permission denied (publickey).' >&2; exit 255");
  EXPECT_EQ(LinkExitCode(refused), ExitCode::kShellFailed);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("Permission denied (publickey)."));
  EXPECT_EQ(LinkExitCode(Greeted("exit 1")), ExitCode::kProtocol);
  EXPECT_EQ(LinkExitCode(Greeted("kill -9 $$")), ExitCode::kProtocol);
}

TEST_F(RemoteShellTest, AShellThatSaysNothingIsWaitedForAsLongAsItMayBeSilent) {
  ASSERT_OK_AND_ASSIGN(auto shell, Start("printf urings; cat >/dev/null; :"));
  const absl::Status silent = shell->Greet(std::chrono::milliseconds(1));
  EXPECT_EQ(LinkExitCode(silent), ExitCode::kTimeout);
  EXPECT_THAT(std::string(silent.message()), HasSubstr("the remote shell of user@far said nothing for 1ms"));
  ASSERT_OK_AND_ASSIGN(auto prompt, Start("printf 'uringsync-mux/1\\n'; cat >/dev/null"));
  EXPECT_OK(prompt->Greet(std::chrono::minutes(10)));
}

TEST_F(RemoteShellTest, AShellThatIsNotThereCannotBeStarted) {
  const absl::Status none =
      RemoteShell::Start({"/nowhere/rsh", "host", "uringsync-agent", "--stdio"}, "host", nullptr).status();
  EXPECT_EQ(LinkExitCode(none), ExitCode::kStartFailed);
  EXPECT_THAT(std::string(none.message()), HasSubstr("/nowhere/rsh"));
}

TEST_F(RemoteShellTest, OneThatDoesNotEndIsKilled) {
  ASSERT_OK_AND_ASSIGN(
      auto shell,
      Start("trap '' TERM PIPE; printf 'uringsync-mux/1\\n'; exec >&- <&-; while :; do read x < /dev/zero; done"));
  EXPECT_OK(shell->Greet());
  shell->Stop(std::chrono::milliseconds(1));
  EXPECT_EQ(shell->Ending(std::chrono::milliseconds(0)), "was killed by signal 9 (Killed)");
}

}  // namespace
}  // namespace uringsync
