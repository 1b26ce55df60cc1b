#include "coordinator/link/path_questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "proto/handshake.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

bool Asked(std::vector<std::string> patterns, std::vector<std::string> names) {
  return CheckExpansion(patterns, names).ok();
}

TEST(PathQuestionsTest, NamesAreThoseThatWereAskedFor) {
  EXPECT_TRUE(Asked({"a", "b/c"}, {"a", "b/c"}));
  EXPECT_TRUE(Asked({"a*", "?/x"}, {"a1", "a2", "q/x"}));
  EXPECT_TRUE(Asked({"a*", "b"}, {"a*", "b"}));
  EXPECT_TRUE(Asked({"~/x*", "~u/y"}, {"/home/me/x1", "/srv/u/y"}));
  EXPECT_TRUE(Asked({"~"}, {"/home/me"}));
  EXPECT_TRUE(Asked({"~nobody/x"}, {"~nobody/x"}));
  EXPECT_TRUE(Asked({"od\\*d", "[ab]"}, {"od*d", "[ab]"}));
  EXPECT_TRUE(Asked({"", "d/"}, {".", "d/"}));
  EXPECT_TRUE(Asked({"back\\slash"}, {"back\\slash"}));
}

TEST(PathQuestionsTest, AnAgentThatNamesSomethingElseIsFoundOut) {
  EXPECT_FALSE(Asked({"a"}, {"b"}));
  EXPECT_FALSE(Asked({"a"}, {"a", "a"}) && Asked({"a"}, {"a", "/etc/passwd"}));
  EXPECT_FALSE(Asked({"a*"}, {"a/b"}));
  EXPECT_FALSE(Asked({"*"}, {".hidden"}));
  EXPECT_FALSE(Asked({"x/*"}, {"y/a"}));
  EXPECT_FALSE(Asked({"~/x"}, {"/home/me/.ssh"}));
  EXPECT_FALSE(Asked({"a\\*"}, {"ab"}));
  EXPECT_FALSE(Asked({"a", "b"}, {"b", "a"}));
}

TEST(PathQuestionsTest, APatternOfOnePathStandsForThatAlone) {
  EXPECT_EQ(AsPattern("~/a*[b]?\\c"), "~/a\\*\\[b\\]\\?\\\\c");
  EXPECT_TRUE(Asked({AsPattern("a*b\\c[d]")}, {"a*b\\c[d]"}));
  EXPECT_FALSE(Asked({AsPattern("a*")}, {"ab"}));
}

// An agent that says `answers`, one to each question, to a client that runs `body`.
void WithAgent(std::vector<std::string> features, std::vector<AgentMessage> answers,
               const std::function<void(PathQuestions*)>& body) {
  auto [client, server] = MakeInMemoryControlPair(64);
  std::thread agent([&] {
    HelloReply reply;
    reply.version = reply.min_version = reply.max_version = kProtocolVersion;
    reply.features = std::move(features);
    static_cast<void>(server->Receive());
    static_cast<void>(server->Send(reply));
    for (AgentMessage& answer : answers) {
      if (!server->Receive().ok()) break;
      static_cast<void>(server->Send(std::move(answer)));
    }
    while (server->Receive().ok()) {
    }
  });
  {
    absl::StatusOr<std::unique_ptr<PathQuestions>> questions = PathQuestions::Open(client.get(), "test");
    ASSERT_OK(questions);
    body(questions->get());
  }
  agent.join();
}

const std::vector<std::string> kBoth = {std::string(kOperandsFeature), std::string(kHostPlacesFeature)};

PathReply ListPart(std::string bytes, bool ends) {
  PathReply reply;
  reply.list = std::move(bytes);
  reply.list_ends = ends;
  return reply;
}

TEST(PathQuestionsTest, AListComesInPieces) {
  WithAgent(kBoth, {ListPart("a\nb", false), ListPart("c\n", true)}, [](PathQuestions* questions) {
    ASSERT_OK_AND_ASSIGN(const std::string list, questions->ReadList("list"));
    EXPECT_EQ(list, "a\nbc\n");
  });
}

TEST(PathQuestionsTest, AListWithoutAnEndAndAnAnswerToSomethingElseAreRefused) {
  WithAgent(kBoth, {ListPart("", false)}, [](PathQuestions* questions) {
    EXPECT_EQ(LinkErrorKind(questions->ReadList("list").status()), ErrorKind::kProtocol);
  });
  PathReply two;
  two.paths.resize(2);
  WithAgent(kBoth, {two}, [](PathQuestions* questions) {
    EXPECT_EQ(LinkErrorKind(questions->Ask({.paths = {"a"}}).status()), ErrorKind::kProtocol);
  });
  PathReply other;
  other.paths.resize(1);
  other.names = {"/etc"};
  WithAgent(kBoth, {other}, [](PathQuestions* questions) {
    const absl::Status refused = questions->Ask({.paths = {"a*"}, .expand = true}).status();
    EXPECT_EQ(LinkErrorKind(refused), ErrorKind::kProtocol);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("nobody asked for"));
  });
}

TEST(PathQuestionsTest, AnOlderAgentIsAskedForNoPatterns) {
  WithAgent({std::string(kOperandsFeature)}, {}, [](PathQuestions* questions) {
    EXPECT_EQ(LinkErrorKind(questions->Ask({.paths = {"a*"}, .expand = true}).status()), ErrorKind::kVersion);
    EXPECT_EQ(LinkErrorKind(questions->ReadList("list").status()), ErrorKind::kVersion);
  });
}

}  // namespace
}  // namespace uringsync
