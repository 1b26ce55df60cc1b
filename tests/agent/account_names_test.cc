#include "agent/account_names.h"

#include <gmock/gmock.h>
#include <sys/types.h>

#include "tests/agent/session_fixture.h"

namespace uringsync {
namespace {

using testing::ElementsAre;

// An id that no host gives a name to.
constexpr uint32_t kNameless = 4294900000;

TEST(AccountNamesTest, RootHasItsNameOnEveryHostAndUnknownOnesHaveNone) {
  NameQuery query;
  query.uids = {0, kNameless};
  query.gids = {kNameless, 0};
  query.users = {"root", "no such user", ""};
  query.groups = {"no such group", "root"};
  const NameReply reply = AnswerNames(query);
  EXPECT_THAT(reply.user_names, ElementsAre("root", ""));
  EXPECT_THAT(reply.group_names, ElementsAre("", "root"));
  EXPECT_THAT(reply.user_ids, ElementsAre(0u, std::nullopt, std::nullopt));
  EXPECT_THAT(reply.group_ids, ElementsAre(std::nullopt, 0u));
}

TEST(AccountNamesTest, TheNameDomainIsTheSameEachTime) {
  EXPECT_FALSE(NameDomain().empty());
  EXPECT_LE(NameDomain().size(), 64u);
  EXPECT_EQ(NameDomain(), NameDomain());
}

TEST(AccountNamesTest, ASessionOfEitherRoleAnswersWhileItsManifestWaits) {
  TempDir dir;
  TestAgent agent(dir.path());
  for (const Role role : {Role::kSource, Role::kDestination}) {
    TestSession session(&agent);
    ASSERT_OK(session.Handshake());
    OpenSession open = OpenFor(role, 7, "");
    open.dry_run = true;
    session.Send(open);
    EXPECT_EQ(session.Expect<SessionOpened>().name_domain, NameDomain());
    session.Send(StartManifest{});
    NameQuery query;
    query.uids = {0};
    session.Send(query);
    EXPECT_THAT(session.Expect<NameReply>().user_names, ElementsAre("root"));
    EXPECT_OK(session.End());
  }
}

}  // namespace
}  // namespace uringsync
