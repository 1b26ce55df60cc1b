#include "agent/config.h"

#include <gtest/gtest.h>

#include <map>

#include "agent/config_options.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  absl::StatusOr<ConfigOutcome> Load(std::vector<std::string> arguments) {
    return LoadAgentConfig(arguments, [this](const char* name) -> const char* {
      const auto found = environment_.find(name);
      return found == environment_.end() ? nullptr : found->second.c_str();
    });
  }
  // With what every listening agent needs.
  absl::StatusOr<AgentConfig> LoadGood(std::vector<std::string> arguments) {
    for (const char* extra : {"--cert", "c", "--key", "k", "--ca", "a", "--root", "data=/srv", "--allow", "*=*:all"})
      arguments.emplace_back(extra);
    auto outcome = Load(std::move(arguments));
    if (!outcome.ok()) return outcome.status();
    return *outcome->config;
  }
  std::string File(std::string_view text) {
    WriteFile(directory_ / "agent.toml", text);
    return directory_ / "agent.toml";
  }

  std::map<std::string, std::string> environment_;
  TempDir directory_;
};

TEST_F(ConfigTest, DefaultsAreTheDocumentedOnes) {
  auto config = LoadGood({});
  ASSERT_OK(config);
  EXPECT_EQ(config->listen.ToString(), "0.0.0.0:7440");
  EXPECT_EQ(config->data_listen.ToString(), "0.0.0.0:7441");
  EXPECT_EQ(config->io_backend, IoBackend::kAuto);
  EXPECT_EQ(config->jobs, 0u);
  EXPECT_EQ(config->log.format, LogFormat::kText);
  EXPECT_EQ(config->log.level, LogLevel::kInfo);
  EXPECT_FALSE(config->health);
  EXPECT_FALSE(config->reflection);
  EXPECT_LT(config->private_fd, 0);
  EXPECT_LT(config->ready_fd, 0);
}

TEST_F(ConfigTest, EveryFlagIsTaken) {
  auto config = LoadGood({"--listen", "[::1]:1", "--data-listen", "127.0.0.1:2", "--io-backend", "threads", "--jobs",
                          "3", "--log-format", "json", "--log-level", "debug", "--health", "--reflection", "--ready-fd",
                          "9", "--root", "b=/x:ro"});
  ASSERT_OK(config);
  EXPECT_EQ(config->listen.ToString(), "[::1]:1");
  EXPECT_EQ(config->data_listen.ToString(), "127.0.0.1:2");
  EXPECT_EQ(config->io_backend, IoBackend::kThreads);
  EXPECT_EQ(config->jobs, 3u);
  EXPECT_EQ(config->log.format, LogFormat::kJson);
  EXPECT_EQ(config->log.level, LogLevel::kDebug);
  EXPECT_TRUE(config->health);
  EXPECT_TRUE(config->reflection);
  EXPECT_EQ(config->ready_fd, 9);
  ASSERT_EQ(config->roots.size(), 2u);
  EXPECT_TRUE(config->roots[0].read_only);
  EXPECT_EQ(config->roots[1].name, "data");
}

TEST_F(ConfigTest, FlagsWinOverVariablesAndVariablesOverTheFile) {
  const std::string file = File("jobs = 1\nlog-level = \"error\"\nlog-format = \"json\"\nroot = [\"f=/f\"]\n");
  environment_ = {
      {"URINGSYNC_AGENT_JOBS", "2"}, {"URINGSYNC_AGENT_LOG_LEVEL", "warn"}, {"URINGSYNC_AGENT_CONFIG", file}};
  auto config = LoadGood({"--jobs", "3"});
  ASSERT_OK(config);
  EXPECT_EQ(config->jobs, 3u);
  EXPECT_EQ(config->log.level, LogLevel::kWarn);
  EXPECT_EQ(config->log.format, LogFormat::kJson);
  ASSERT_EQ(config->roots.size(), 1u);
  EXPECT_EQ(config->roots[0].name, "data");
}

TEST_F(ConfigTest, ARootVariableHoldsOneRootALine) {
  environment_ = {{"URINGSYNC_AGENT_ROOT", "a=/a\nb=/b:ro\n"},
                  {"URINGSYNC_AGENT_CERT", "c"},
                  {"URINGSYNC_AGENT_KEY", "k"},
                  {"URINGSYNC_AGENT_CA", "x"},
                  {"URINGSYNC_AGENT_ALLOW", "*=a:read\ncli=b:all\n"}};
  auto outcome = Load({});
  ASSERT_OK(outcome);
  ASSERT_EQ(outcome->config->roots.size(), 2u);
  EXPECT_EQ(outcome->config->roots[1].path, "/b");
  ASSERT_EQ(outcome->config->grants.size(), 2u);
  EXPECT_EQ(outcome->config->grants[1].root, "b");
}

TEST_F(ConfigTest, UnknownKeysInTheFileAreNamedWithTheirLine) {
  EXPECT_THAT(LoadGood({"--config", File("jobs = 1\n\nlisten-port = 3\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("agent.toml line 3: listen-port: unknown key; known are listen")));
  EXPECT_THAT(LoadGood({"--config", File("private-fd = 3\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unknown key")));
}

TEST_F(ConfigTest, WrongTypesAndSyntaxErrorsInTheFileAreNamedWithTheirLine) {
  EXPECT_THAT(LoadGood({"--config", File("jobs = \"many\"\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 1: jobs: a whole number")));
  EXPECT_THAT(LoadGood({"--config", File("health = 1\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("true or false")));
  EXPECT_THAT(LoadGood({"--config", File("listen = 7440\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a text")));
  EXPECT_THAT(LoadGood({"--config", File("root = \"a=/a\"\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a list")));
  EXPECT_THAT(LoadGood({"--config", File("root = [1]\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a list")));
  EXPECT_THAT(LoadGood({"--config", File("jobs = 1\njobs = = 2\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("agent.toml line 2")));
  EXPECT_THAT(LoadGood({"--config", File("[[")}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ConfigTest, AMissingFileIsNamed) {
  EXPECT_THAT(LoadGood({"--config", "/nowhere/agent.toml"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("--config: /nowhere/agent.toml")));
}

TEST_F(ConfigTest, BadValuesNameTheirOrigin) {
  EXPECT_THAT(LoadGood({"--jobs", "-1"}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--jobs")));
  EXPECT_THAT(LoadGood({"--jobs", "1x"}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--jobs: \"1x\"")));
  EXPECT_THAT(LoadGood({"--io-backend", "aio"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--io-backend")));
  EXPECT_THAT(LoadGood({"--listen", "a:b:c:d:"}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--listen")));
  EXPECT_THAT(
      LoadGood({"--log-level", "loud"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--log-level: \"loud\" is no log level; choose debug")));
  environment_ = {{"URINGSYNC_AGENT_HEALTH", "maybe"}};
  EXPECT_THAT(LoadGood({}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("URINGSYNC_AGENT_HEALTH")));
}

TEST_F(ConfigTest, UnknownFlagsAreRefused) {
  EXPECT_THAT(LoadGood({"--frobnicate"}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--frobnicate")));
}

TEST_F(ConfigTest, ListeningWithoutCertificatesIsRefusedWithTheWayOut) {
  EXPECT_THAT(
      Load({"--root", "data=/srv", "--cert", "c"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--key, --ca are missing; 'uringsync certs init")));
}

TEST_F(ConfigTest, AnAgentWithoutTlsListensOnTheLoopbackAlone) {
  const std::vector<std::string> insecure = {"--insecure", "--root", "data=/srv", "--allow", "insecure=data:read"};
  const auto with = [&](std::vector<std::string> further) {
    further.insert(further.begin(), insecure.begin(), insecure.end());
    return Load(further);
  };
  const absl::StatusOr<ConfigOutcome> outcome = with({});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ("127.0.0.1:7440", outcome->config->listen.ToString());
  EXPECT_EQ("127.0.0.1:7441", outcome->config->data_listen.ToString());
  EXPECT_TRUE(with({"--listen", "[::1]:0", "--data-listen", "localhost:0"}).ok());
  for (const char* option : {"--listen", "--data-listen"}) {
    for (const char* wide : {"0.0.0.0:0", ":0", "192.0.2.1:7440"}) {
      const absl::Status refused = with({option, wide}).status();
      EXPECT_EQ(absl::StatusCode::kInvalidArgument, refused.code()) << wide;
      EXPECT_THAT(std::string(refused.message()), HasSubstr(std::string("loopback alone, and ") + option));
    }
  }
  EXPECT_THAT(std::string(with({"--cert", "a.crt"}).status().message()), HasSubstr("--insecure"));
  EXPECT_FALSE(Load({"--root", "data=/srv", "--insecure"}).ok()) << "nobody was let in";
}

TEST_F(ConfigTest, NothingToServeIsRefused) {
  EXPECT_THAT(Load({"--cert", "c", "--key", "k", "--ca", "a"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("give --root NAME=PATH")));
}

TEST_F(ConfigTest, NobodyIsLetInByDefault) {
  const std::vector<std::string> good = {"--cert", "c", "--key", "k", "--ca", "a", "--root", "data=/srv"};
  EXPECT_THAT(Load(good), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("give --allow WHO=ROOT:VERBS")));
  EXPECT_THAT(LoadGood({"--allow", "cli=date:read"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("there is no root of that name")));
  EXPECT_THAT(LoadGood({"--allow", "cli"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--allow: \"cli\": it is not of the form")));
}

TEST_F(ConfigTest, APrivateAgentNeedsNoCertificatesAndHeedsNoEnvironment) {
  environment_ = {{"URINGSYNC_AGENT_JOBS", "7"}, {"URINGSYNC_AGENT_CONFIG", "/nowhere"}};
  auto outcome = Load({"--private-fd", "3", "--root", "src=/a:ro"});
  ASSERT_OK(outcome);
  EXPECT_EQ(outcome->config->private_fd, 3);
  EXPECT_EQ(outcome->config->jobs, 0u);
  EXPECT_EQ(outcome->config->log.format, LogFormat::kPlain);
  EXPECT_EQ(outcome->config->log.level, LogLevel::kWarn);
}

TEST_F(ConfigTest, AnAgentOfARemoteShellIsPrivateToo) {
  environment_ = {{"URINGSYNC_AGENT_JOBS", "7"}, {"URINGSYNC_AGENT_CONFIG", "/nowhere"}};
  auto outcome = Load({"--stdio", "--io-backend", "threads"});
  ASSERT_OK(outcome);
  EXPECT_TRUE(outcome->config->stdio);
  EXPECT_EQ(outcome->config->jobs, 0u);
  EXPECT_EQ(outcome->config->log.format, LogFormat::kPlain);
  EXPECT_THAT(Load({"--stdio", "--private-fd", "3"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("exclude")));
  EXPECT_THAT(LoadGood({"--config", File("stdio = true\n")}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unknown key")));
}

TEST_F(ConfigTest, ShellsAreInheritedByAPrivateAgentOnly) {
  auto outcome = Load({"--private-fd", "3", "--shell", "4:5:6", "--shell", "7:8:9:10"});
  ASSERT_OK(outcome);
  ASSERT_EQ(outcome->config->shells.size(), 2u);
  EXPECT_EQ(outcome->config->shells[0].input, 4);
  EXPECT_EQ(outcome->config->shells[0].output, 5);
  EXPECT_EQ(outcome->config->shells[1].control, (std::vector<int>{9, 10}));
  for (const char* bad : {"", "4", "4:5", "4:5:", "2:5:6", "a:5:6", "4:5:6x", "-4:5:6"}) {
    EXPECT_THAT(Load({"--private-fd", "3", std::string("--shell=") + bad}),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << bad;
  }
  EXPECT_THAT(Load({"--stdio", "--shell", "4:5:6"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("private agent")));
}

TEST_F(ConfigTest, HelpNamesEveryPublicFlagAndVersionTheVersion) {
  auto help = Load({"--help"});
  ASSERT_OK(help);
  EXPECT_FALSE(help->config);
  for (const OptionRow& row : AgentOptions()) {
    if (row.help.empty()) {
      EXPECT_THAT(help->output, testing::Not(HasSubstr("--" + std::string(row.name))));
    } else {
      EXPECT_THAT(help->output, HasSubstr("--" + std::string(row.name)));
    }
  }
  auto version = Load({"--version"});
  ASSERT_OK(version);
  EXPECT_EQ(version->output, "uringsync-agent 0.1.0\n");
}

}  // namespace
}  // namespace uringsync
