#include "agent/direct_data.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/peer_dials.h"
#include "agent/session_table.h"
#include "agent/timed_dial.h"
#include "engine/ring/runtime.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(AddressOfShellTest, TheThirdWordOfAConnectionIsOurAddress) {
  EXPECT_EQ(AddressOfShell("198.51.100.7 40000 192.0.2.1 22"), "192.0.2.1");
  EXPECT_EQ(AddressOfShell("2001:db8::7 40000 2001:db8::1 22"), "2001:db8::1");
  for (const char* none : {"", "a", "a b", "a b c d", "UNKNOWN 65535 UNKNOWN 65535"})
    EXPECT_EQ(AddressOfShell(none), "") << none;
  EXPECT_EQ(AddressOfShell(nullptr), "");
}

class DirectDataTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(runtime_, Runtime::Start({.shards = 2}));
    ASSERT_OK_AND_ASSIGN(keys_, MakeOneTimeKeys());
    context_.runtime = runtime_.get();
    context_.direct = &direct_;
    context_.open_peer = [] { return absl::StatusOr<std::unique_ptr<Stream>>(absl::UnimplementedError("the shell")); };
  }
  std::unique_ptr<PeerDials> DialsTo(const ConnectData& where) {
    return std::make_unique<PeerDials>(context_, where, [this](std::string text) { told_.push_back(std::move(text)); });
  }

  std::unique_ptr<Runtime> runtime_;
  SessionTable table_;
  OneTimeKeys keys_;
  AgentContext context_;
  DirectData direct_{{.runtime = nullptr, .table = &table_}};
  std::vector<std::string> told_;
};

TEST_F(DirectDataTest, KeysAreTakenOnceAndOnlyWhoIsAskedToListens) {
  EXPECT_EQ(direct_.tls(), nullptr);
  ASSERT_OK_AND_ASSIGN(const DirectReply reply, direct_.Open({.keys = keys_}));
  EXPECT_EQ(reply.port, 0);
  EXPECT_NE(direct_.tls(), nullptr);
  EXPECT_THAT(direct_.Open({.keys = keys_}).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("twice")));
  DirectData listener({.runtime = runtime_.get(), .table = &table_});
  EXPECT_THAT(listener.Open({.keys = {"no", "keys"}, .listen = true}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(const DirectReply listens, listener.Open({.keys = keys_, .listen = true}));
  EXPECT_NE(listens.port, 0);
  DirectData second({.runtime = runtime_.get(), .table = &table_});
  EXPECT_THAT(second.Open({.keys = keys_, .listen = true, .port = listens.port}).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--direct-port")));
}

TEST_F(DirectDataTest, TheShellsChannelTakesOverWithTheFirstDialThatFails) {
  ASSERT_OK(direct_.Open({.keys = keys_}));
  const std::unique_ptr<PeerDials> dials = DialsTo({"192.0.2.1", 4711, true});
  EXPECT_EQ(dials->Shards(2), 2u);
  DataDial first, second;
  ASSERT_TRUE(dials->Fill(0, &first));
  ASSERT_TRUE(dials->Fill(1, &second));
  EXPECT_FALSE(second.open);
  EXPECT_EQ(second.tls, direct_.tls());
  EXPECT_EQ(second.tls_host, kOneTimeName);
  EXPECT_EQ(dials->limit(second), kDirectDialLimit);
  EXPECT_TRUE(dials->Retreat(first, absl::UnavailableError("refused")));
  EXPECT_TRUE(dials->Retreat(second, absl::UnavailableError("refused")));
  EXPECT_THAT(told_, ElementsAre(HasSubstr("192.0.2.1 port 4711 (refused)")));
  DataDial shell;
  ASSERT_TRUE(dials->Fill(0, &shell));
  EXPECT_TRUE(shell.open);
  EXPECT_EQ(shell.tls, nullptr);
  EXPECT_EQ(dials->limit(shell), kDialLimit);
  EXPECT_FALSE(dials->Retreat(shell, absl::UnavailableError("hung up")));
  DataDial none;
  EXPECT_FALSE(dials->Fill(1, &none)) << "streams of the shell belong to shard 0";
}

TEST_F(DirectDataTest, WithoutKeysOrWithoutAskingThereIsTheShellAlone) {
  for (const bool asked : {true, false}) {
    if (!asked) ASSERT_OK(direct_.Open({.keys = keys_}));
    const std::unique_ptr<PeerDials> dials = DialsTo({"192.0.2.1", 4711, asked});
    EXPECT_EQ(dials->Shards(2), 1u);
    DataDial dial;
    ASSERT_TRUE(dials->Fill(0, &dial));
    EXPECT_TRUE(dial.open);
  }
}

}  // namespace
}  // namespace uringsync
