#include "coordinator/link/private_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A stand-in for the agent: the real one is started by the integration tests.
class PrivateAgentTest : public testing::Test {
 protected:
  std::string Script(const std::string& body) {
    const std::string path = dir_ / "agent";
    WriteFile(path, "#!/bin/sh\n" + body, 0755);
    return path;
  }
  absl::StatusOr<std::unique_ptr<PrivateAgent>> Start(const std::string& body,
                                                      std::vector<std::string> arguments = {}) {
    PrivateAgentOptions options;
    options.program = Script(body);
    options.arguments = std::move(arguments);
    options.on_warning = [this](std::string_view line) {
      std::lock_guard lock(mutex_);
      warnings_.emplace_back(line);
    };
    return PrivateAgent::Start(std::move(options));
  }
  // Reads our end of the socket until the agent has closed its end.
  static std::string Drain(int fd) {
    std::string out;
    char buffer[256];
    ssize_t n;
    while ((n = ::read(fd, buffer, sizeof(buffer))) > 0) out.append(buffer, static_cast<size_t>(n));
    return out;
  }

  TempDir dir_;
  std::mutex mutex_;
  std::vector<std::string> warnings_;
};

TEST_F(PrivateAgentTest, SocketAndArgumentsReachTheProgram) {
  ASSERT_OK_AND_ASSIGN(auto agent, Start("echo \"$@\" >&3", {"--root", "source=/a b"}));
  UniqueFd socket = agent->TakeSocket();
  EXPECT_EQ(Drain(socket.get()), "--private-fd 3 --root source=/a b\n");
  agent->Stop(std::chrono::seconds(60));
}

TEST_F(PrivateAgentTest, EndsByItselfWhenTheSocketCloses) {
  ASSERT_OK_AND_ASSIGN(auto agent, Start("cat <&3 >/dev/null; exit 0"));
  {
    UniqueFd socket = agent->TakeSocket();
  }
  agent->Stop(std::chrono::seconds(60));
  EXPECT_EQ(agent->Ending(std::chrono::milliseconds(0)), "exited with status 0");
}

TEST_F(PrivateAgentTest, OneThatDoesNotEndIsKilledAndReaped) {
  ASSERT_OK_AND_ASSIGN(auto agent, Start("trap '' TERM; echo up >&3; exec 3>&-; while :; do read x < /dev/zero; done"));
  UniqueFd socket = agent->TakeSocket();
  EXPECT_EQ(Drain(socket.get()), "up\n");
  agent->Stop(std::chrono::milliseconds(1));
  EXPECT_EQ(agent->Ending(std::chrono::milliseconds(0)), "was killed by signal 9 (Killed)");
  EXPECT_EQ(::kill(agent->pid(), 0), -1);
}

TEST_F(PrivateAgentTest, WarningsAreHandedOnEscapedLineByLine) {
  ASSERT_OK_AND_ASSIGN(auto agent, Start("printf 'first\\nse\\033cond\\n\\nlast' >&2"));
  agent->Stop(std::chrono::seconds(60));
  EXPECT_THAT(warnings_, ElementsAre("first", "se\\033cond", "last"));
  EXPECT_EQ(agent->last_warning(), "last");
}

TEST_F(PrivateAgentTest, EndlessLineIsCutIntoPieces) {
  ASSERT_OK_AND_ASSIGN(auto agent, Start("head -c 10000 /dev/zero | tr '\\0' x >&2"));
  agent->Stop(std::chrono::seconds(60));
  ASSERT_EQ(warnings_.size(), 3u);
  EXPECT_EQ(warnings_[0].size(), 4096u);
}

TEST_F(PrivateAgentTest, EndingTellsTheStatus) {
  ASSERT_OK_AND_ASSIGN(auto agent, Start("exit 3"));
  EXPECT_EQ(agent->Ending(std::chrono::seconds(60)), "exited with status 3");
}

TEST_F(PrivateAgentTest, EndingIsEmptyWhileItRuns) {
  ASSERT_OK_AND_ASSIGN(auto agent, Start("cat <&3 >/dev/null"));
  EXPECT_EQ(agent->Ending(std::chrono::milliseconds(0)), "");
}

TEST_F(PrivateAgentTest, ChildHasItsOwnProcessGroupAndNoBlockedSignals) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
  ASSERT_OK_AND_ASSIGN(auto agent, Start("grep SigBlk /proc/self/status >&3; cut -d' ' -f5 /proc/$$/stat >&3"));
  UniqueFd socket = agent->TakeSocket();
  EXPECT_EQ(Drain(socket.get()), "SigBlk:\t0000000000000000\n" + std::to_string(agent->pid()) + "\n");
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
}

TEST_F(PrivateAgentTest, ProgramThatCannotRunIsNamed) {
  PrivateAgentOptions options;
  options.program = dir_ / "missing";
  const auto agent = PrivateAgent::Start(std::move(options));
  ASSERT_FALSE(agent.ok());
  EXPECT_EQ(LinkErrorKind(agent.status()), ErrorKind::kFileIo);
  EXPECT_THAT(std::string(agent.status().message()), HasSubstr("missing: No such file or directory"));
}

TEST_F(PrivateAgentTest, NoDescriptorOfOursLeaksIntoTheProgram) {
  ASSERT_OK_AND_ASSIGN(auto agent, Start("ls /proc/self/fd | sort -n | tr '\\n' ' ' >&3"));
  UniqueFd socket = agent->TakeSocket();
  const std::string open = Drain(socket.get());
  // 3 is ls's copy of the socket, 4 its own directory.
  EXPECT_THAT(open, HasSubstr("0 1 2 3 4"));
}

TEST_F(PrivateAgentTest, ProgramIsFoundByOverrideThenBesideThenOnPath) {
  MakeDirectories(dir_ / "beside");
  MakeDirectories(dir_ / "path");
  WriteFile(dir_ / "path/uringsync-agent", "", 0755);
  const std::string self = dir_ / "beside/uringsync";
  EXPECT_THAT(FindAgentProgram("", self, "relative:" + (dir_ / "path")), IsOkAndHolds(dir_ / "path/uringsync-agent"));
  WriteFile(dir_ / "beside/uringsync-agent", "", 0755);
  EXPECT_THAT(FindAgentProgram("", self, dir_ / "path"), IsOkAndHolds(dir_ / "beside/uringsync-agent"));
  EXPECT_THAT(FindAgentProgram(dir_ / "path/uringsync-agent", self, ""), IsOkAndHolds(dir_ / "path/uringsync-agent"));
}

TEST_F(PrivateAgentTest, MissingProgramNamesThePlacesThatWereTried) {
  const auto beside = FindAgentProgram("", dir_ / "uringsync", "/nonexistent");
  ASSERT_FALSE(beside.ok());
  EXPECT_THAT(std::string(beside.status().message()), HasSubstr(dir_ / "uringsync-agent"));
  WriteFile(dir_ / "plain", "", 0644);
  const auto named = FindAgentProgram(dir_ / "plain", "", "");
  ASSERT_FALSE(named.ok());
  EXPECT_THAT(std::string(named.status().message()), HasSubstr("URINGSYNC_AGENT"));
}

}  // namespace
}  // namespace uringsync
