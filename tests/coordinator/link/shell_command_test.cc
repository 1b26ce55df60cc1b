#include "coordinator/link/shell_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Split(std::string_view text) {
  absl::StatusOr<std::vector<std::string>> words = SplitShellCommand(text);
  EXPECT_OK(words);
  return words.ok() ? *std::move(words) : std::vector<std::string>();
}

TEST(SplitShellCommandTest, SpacesSeparateAndQuotesKeepTogether) {
  EXPECT_THAT(Split("ssh"), ElementsAre("ssh"));
  EXPECT_THAT(Split("  ssh   -p 22 "), ElementsAre("ssh", "-p", "22"));
  EXPECT_THAT(Split("ssh -o 'ProxyCommand nc %h %p'"), ElementsAre("ssh", "-o", "ProxyCommand nc %h %p"));
  EXPECT_THAT(Split("a\"b c\"d 'e\"f'"), ElementsAre("ab cd", "e\"f"));
  EXPECT_THAT(Split("x ''"), ElementsAre("x", ""));
  EXPECT_THAT(Split("x 'it''s' \"a\"\"b\""), ElementsAre("x", "it's", "a\"b"));
  EXPECT_THAT(Split("a\\ b"), ElementsAre("a\\", "b"));
}

TEST(SplitShellCommandTest, AnOpenQuoteAndNothingAtAllAreRefused) {
  EXPECT_THAT(SplitShellCommand("ssh 'a"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("without its end")));
  EXPECT_THAT(SplitShellCommand("  "), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("empty")));
}

TEST(FarProgramTest, TheLastWordNamedRsyncIsTheAgent) {
  EXPECT_EQ(FarProgram(""), "uringsync-agent");
  EXPECT_EQ(FarProgram("rsync"), "uringsync-agent");
  EXPECT_EQ(FarProgram("sudo rsync"), "sudo uringsync-agent");
  EXPECT_EQ(FarProgram("sudo -u x /usr/bin/rsync "), "sudo -u x uringsync-agent ");
  EXPECT_EQ(FarProgram("mkdir -p /a/rsync/b && rsync"), "mkdir -p /a/rsync/b && uringsync-agent");
  EXPECT_EQ(FarProgram("rsync rsync -x"), "rsync uringsync-agent -x");
  EXPECT_EQ(FarProgram("/opt/bin/ursync"), "/opt/bin/ursync");
  EXPECT_EQ(FarProgram("rsync-wrapper"), "rsync-wrapper");
}

TEST(ShellCommandTest, UserAndFamilyStandWhereRsyncPutsThem) {
  const ShellEndpoint far{.user = "u", .host = "h", .path = "p"};
  ASSERT_OK_AND_ASSIGN(std::vector<std::string> words, ShellCommand({.family = AddressFamily::kIpv4}, far));
  ASSERT_GE(words.size(), 7u);
  EXPECT_THAT(std::vector<std::string>(words.begin(), words.begin() + 7),
              ElementsAre("ssh", "-l", "u", "-4", "h", "uringsync-agent", "--stdio"));
  ASSERT_OK_AND_ASSIGN(words, ShellCommand({.far_arguments = {"--fake-super"}}, far));
  EXPECT_EQ(words.back(), "--fake-super");
  ASSERT_OK_AND_ASSIGN(
      words, ShellCommand({.command = "./rsh -x", .far_program = "sudo rsync", .family = AddressFamily::kIpv6}, far));
  EXPECT_THAT(std::vector<std::string>(words.begin(), words.begin() + 7),
              ElementsAre("./rsh", "-x", "-l", "u", "h", "sudo uringsync-agent", "--stdio"));
}

}  // namespace
}  // namespace uringsync
