#include "proto/handshake.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

TEST(ChooseVersionTest, TakesTheHighestInBothRanges) {
  EXPECT_EQ(*ChooseVersion({1, 3}, "a", {2, 5}, "b"), 3u);
  EXPECT_EQ(*ChooseVersion({2, 5}, "a", {1, 3}, "b"), 3u);
  EXPECT_EQ(*ChooseVersion({1, 1}, "a", {1, 1}, "b"), 1u);
}

TEST(ChooseVersionTest, NamesBothRangesAndWhichSideToUpdate) {
  EXPECT_THAT(ChooseVersion({1, 1}, "uringsync 0.1.0", {3, 4}, "uringsync-agent 9"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "uringsync-agent 9 speaks protocol 3 to 4, this uringsync 0.1.0 speaks protocol 1; update "
                       "uringsync 0.1.0 here"));
  EXPECT_THAT(ChooseVersion({3, 4}, "uringsync 9", {1, 1}, "agent 1"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("update agent 1 over there")));
}

TEST(ChooseVersionTest, RefusesWhatIsNoRange) {
  EXPECT_THAT(ChooseVersion({1, 1}, "a", {0, 1}, "b"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ChooseVersion({1, 1}, "a", {3, 2}, "b"), StatusIs(absl::StatusCode::kInvalidArgument));
}

// Runs both ends of a handshake over memory.
struct Outcome {
  absl::StatusOr<HelloReply> client;
  absl::StatusOr<AgentHello> agent;
};
Outcome Shake(const Hello& hello) {
  auto [client, agent] = MakeInMemoryControlPair(4);
  Outcome outcome{absl::UnknownError("not run"), absl::UnknownError("not run")};
  std::thread thread([&outcome, stream = agent.get()] {
    outcome.agent = AgentHandshake(stream, {.software = "uringsync-agent 0.1.0", .io_backend = "uring"});
  });
  outcome.client = ClientHandshake(client.get(), hello);
  thread.join();
  return outcome;
}

TEST(HandshakeTest, APeerThatIsTooNewIsToldBothVersions) {
  const Outcome outcome = Shake({.min_version = 3, .max_version = 4, .software = "uringsync 9.0.0"});
  EXPECT_THAT(
      outcome.client,
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("uringsync-agent 0.1.0 speaks protocol 1, this uringsync 9.0.0 speaks protocol 3 to 4")));
  EXPECT_THAT(outcome.agent, StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(HandshakeTest, AnythingBeforeHelloIsRefused) {
  auto [client, agent] = MakeInMemoryControlPair(4);
  ASSERT_OK(client->Send(StartManifest{}));
  EXPECT_THAT(AgentHandshake(agent.get(), {.io_backend = "uring"}), StatusIs(absl::StatusCode::kInvalidArgument));
  auto answer = client->Receive();
  ASSERT_OK(answer);
  EXPECT_EQ(std::get<SessionError>(*answer).kind, ErrorKind::kProtocol);
}

TEST(HandshakeTest, AnAgentThatAnswersWithSomethingElseIsRefused) {
  auto [client, agent] = MakeInMemoryControlPair(4);
  ASSERT_OK(agent->Send(ManifestEnd{}));
  EXPECT_THAT(ClientHandshake(client.get(), {}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(HandshakeTest, AnAgentThatHangsUpIsReportedAsItsStreamEnded) {
  auto [client, agent] = MakeInMemoryControlPair(4);
  agent.reset();
  EXPECT_THAT(ClientHandshake(client.get(), {}), StatusIs(absl::StatusCode::kOutOfRange));
}

}  // namespace
}  // namespace uringsync
