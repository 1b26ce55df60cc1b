#include "coordinator/link/links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

Endpoint At(const std::string& text) {
  return *ParseEndpoint(text);
}

std::string Refusal(const absl::Status& status, ErrorKind kind) {
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(LinkErrorKind(status), kind) << std::string(status.message());
  return std::string(status.message());
}

class LinksTest : public testing::Test {
 protected:
  LinksTest() {
    MakeDirectories(dir_ / "src/sub");
    MakeDirectories(dir_ / "dst");
  }
  absl::Status Check(const std::string& source, const std::string& destination, bool writes = true,
                     bool deletes = false) {
    LinkOptions options;
    options.writes = writes;
    options.deletes = deletes;
    return ResolveTargets(At(source), At(destination), options).status();
  }
  // Opens links with a shell script in the agent's place.
  absl::StatusOr<std::unique_ptr<Links>> OpenWithAgent(const std::string& body) {
    WriteFile(dir_ / "agent", "#!/bin/sh\n" + body, 0755);
    LinkOptions options;
    options.find_agent = [this]() -> absl::StatusOr<std::string> { return dir_ / "agent"; };
    options.on_agent_warning = [this](std::string_view line) { warning_ = std::string(line); };
    return Links::Open(At(dir_ / "src"), At(dir_ / "dst"), std::move(options));
  }
  std::string warning_;
  TempDir dir_;
};

TEST_F(LinksTest, SameDirectoryIsRefusedInEveryMode) {
  EXPECT_THAT(Refusal(Check(dir_ / "src", dir_ / "src/."), ErrorKind::kSelection), HasSubstr("same directory"));
  Refusal(Check(dir_ / "src", dir_ / "src", false), ErrorKind::kSelection);
  Refusal(Check("agent://h/r/a", "agent://h:7440/r/a/"), ErrorKind::kSelection);
}

TEST_F(LinksTest, DestinationInsideSourceIsRefusedWhereItWrites) {
  EXPECT_THAT(Refusal(Check(dir_ / "src", dir_ / "src/sub"), ErrorKind::kSelection), HasSubstr("inside the source"));
  Refusal(Check(dir_ / "src", dir_ / "src/new"), ErrorKind::kSelection);
  Refusal(Check("agent://h/r", "agent://h/r/below"), ErrorKind::kSelection);
  EXPECT_OK(Check(dir_ / "src", dir_ / "src/sub", false));
}

TEST_F(LinksTest, SourceInsideDestinationIsRefusedOnlyWithDelete) {
  EXPECT_THAT(Refusal(Check(dir_ / "src/sub", dir_ / "src", true, true), ErrorKind::kSelection),
              HasSubstr("--delete would remove"));
  EXPECT_OK(Check(dir_ / "src/sub", dir_ / "src", true, false));
  Refusal(Check("agent://h/r/a", "agent://h/r", true, true), ErrorKind::kSelection);
}

TEST_F(LinksTest, DifferentAgentsRootsAndSiblingsDoNotOverlap) {
  EXPECT_OK(Check("agent://h/r/a", "agent://i/r/a", true, true));
  EXPECT_OK(Check("agent://h/r/a", "agent://h:7441/r/a", true, true));
  EXPECT_OK(Check("agent://h/r/a", "agent://h/q/a", true, true));
  EXPECT_OK(Check("agent://h/r/a", "agent://h/r/ab", true, true));
  EXPECT_OK(Check(dir_ / "src", dir_ / "dst", true, true));
}

TEST_F(LinksTest, LocalTargetsBecomeRootsOfThePrivateAgent) {
  ASSERT_OK_AND_ASSIGN(LinkTargets targets, ResolveTargets(At(dir_ / "src"), At(dir_ / "new"), LinkOptions()));
  EXPECT_EQ(targets.source.root, "source");
  EXPECT_TRUE(targets.source.path.is_root());
  EXPECT_EQ(targets.destination.root, "destination");
  EXPECT_EQ(targets.destination.path.text(), "new");
  EXPECT_TRUE(targets.destination.local.create_root);
}

TEST_F(LinksTest, AgentTargetsKeepRootAndPath) {
  ASSERT_OK_AND_ASSIGN(LinkTargets targets, ResolveTargets(At("agent://h/r/a/b"), At("agent://i/q"), LinkOptions()));
  EXPECT_EQ(targets.source.root, "r");
  EXPECT_EQ(targets.source.path.text(), "a/b");
  EXPECT_EQ(targets.destination.root, "q");
}

HelloReply AgentWithDataPort(uint16_t port) {
  HelloReply hello;
  hello.data_port = port;
  return hello;
}

TEST_F(LinksTest, OperandsLeaveTheSourceToTheAgentAsItWasTyped) {
  LinkOptions options;
  options.operands = true;
  ASSERT_OK_AND_ASSIGN(LinkTargets targets, ResolveTargets(At("no/such"), At(dir_ / "src"), options));
  EXPECT_EQ(targets.source.root, "");
  EXPECT_EQ(targets.source.host_path, "no/such");
  EXPECT_EQ(targets.destination.root, kPrivateDestinationRoot);
}

TEST_F(LinksTest, ADestinationThatIsToBeMadeWithItsParentsIsAPathOfTheHost) {
  LinkOptions options;
  options.host_destination = true;
  ASSERT_OK_AND_ASSIGN(LinkTargets targets, ResolveTargets(At(dir_ / "src"), At(dir_ / "no/such/way"), options));
  EXPECT_EQ(targets.destination.root, "");
  EXPECT_EQ(targets.destination.host_path, dir_ / "no/such/way");
  EXPECT_TRUE(targets.destination.local.create_root);
}

TEST(ChooseRouteTest, OneAgentForBothIsLocal) {
  const SessionId session = {7};
  for (const auto& [source, destination] : {std::pair{"/a", "/b"}, std::pair{"agent://h/r", "agent://h:7440/q"}}) {
    ASSERT_OK_AND_ASSIGN(RouteChoice choice, ChooseRoute(At(source), At(destination), session, {}, {}));
    EXPECT_EQ(choice.route.kind, DataRoute::Kind::kLocal);
    EXPECT_EQ(choice.route.peer_session, session);
    EXPECT_FALSE(choice.source_connects);
  }
}

TEST(ChooseRouteTest, DestinationConnectsToASourceThatListens) {
  for (const char* destination : {"/b", "agent://i/q"}) {
    ASSERT_OK_AND_ASSIGN(RouteChoice choice, ChooseRoute(At("agent://h:9/r"), At(destination), {},
                                                         AgentWithDataPort(7441), AgentWithDataPort(7551)));
    EXPECT_EQ(choice.route.kind, DataRoute::Kind::kConnect);
    EXPECT_EQ(choice.route.host, "h");
    EXPECT_EQ(choice.route.port, 7441);
    EXPECT_FALSE(choice.source_connects);
  }
}

TEST(ChooseRouteTest, PrivateSourceConnectsToTheDestination) {
  ASSERT_OK_AND_ASSIGN(RouteChoice choice,
                       ChooseRoute(At("/a"), At("agent://[::1]/r"), {}, {}, AgentWithDataPort(7441)));
  EXPECT_EQ(choice.route.kind, DataRoute::Kind::kAccept);
  ASSERT_TRUE(choice.source_connects);
  EXPECT_EQ(choice.source_connects->host, "::1");
  EXPECT_EQ(choice.source_connects->port, 7441);
}

TEST(ChooseRouteTest, ThroughAShellWhoeverIsLocalOpensTheDataStreams) {
  ASSERT_OK_AND_ASSIGN(RouteChoice pull, ChooseRoute(At("h:/a"), At("/b"), {}, {}, {}));
  EXPECT_EQ(pull.route.kind, DataRoute::Kind::kConnect);
  EXPECT_EQ(pull.route.host, kShellRouteHost);
  ASSERT_OK_AND_ASSIGN(RouteChoice push, ChooseRoute(At("/a"), At("h:b"), {}, {}, {}));
  EXPECT_EQ(push.route.kind, DataRoute::Kind::kAccept);
  ASSERT_TRUE(push.source_connects);
  ASSERT_OK_AND_ASSIGN(RouteChoice across, ChooseRoute(At("h:/a"), At("i:/b"), {}, {}, {}));
  EXPECT_EQ(across.route.kind, DataRoute::Kind::kConnect);
  ASSERT_OK_AND_ASSIGN(RouteChoice within, ChooseRoute(At("u@h:/a"), At("u@h:/b"), {}, {}, {}));
  EXPECT_EQ(within.route.kind, DataRoute::Kind::kLocal);
  EXPECT_FALSE(SameAgent(At("u@h:/a"), At("h:/a")));
}

TEST(ChooseRouteTest, ADirectWayLeadsToTheFarAgentThatListens) {
  const ConnectData way{"192.0.2.1", 4711, true};
  ASSERT_OK_AND_ASSIGN(RouteChoice pull, ChooseRoute(At("h:/a"), At("/b"), {}, {}, {}, way));
  EXPECT_EQ(pull.route.kind, DataRoute::Kind::kConnect);
  EXPECT_EQ(pull.route.host, "192.0.2.1");
  EXPECT_EQ(pull.route.port, 4711);
  EXPECT_TRUE(pull.route.direct);
  ASSERT_OK_AND_ASSIGN(RouteChoice push, ChooseRoute(At("/a"), At("h:b"), {}, {}, {}, way));
  EXPECT_EQ(push.route.kind, DataRoute::Kind::kAccept);
  ASSERT_TRUE(push.source_connects);
  EXPECT_EQ(push.source_connects->port, 4711);
  EXPECT_TRUE(push.source_connects->direct);
}

TEST(ChooseRouteTest, AgentWithoutDataPortIsAnError) {
  const auto choice = ChooseRoute(At("/a"), At("agent://h/r"), {}, {}, AgentWithDataPort(0));
  ASSERT_FALSE(choice.ok());
  EXPECT_THAT(Refusal(choice.status(), ErrorKind::kUsage), HasSubstr("no data port"));
}

TEST_F(LinksTest, AgentEndpointsNeedCertificatesBeforeAnythingStarts) {
  LinkOptions options;
  options.tls.cert = "c";
  options.find_agent = []() -> absl::StatusOr<std::string> {
    ADD_FAILURE() << "no agent may be started";
    return std::string();
  };
  const auto links = Links::Open(At(dir_ / "src"), At("agent://h/r"), std::move(options));
  EXPECT_THAT(Refusal(links.status(), ErrorKind::kUsage), HasSubstr("--key, --ca is missing"));
}

TEST_F(LinksTest, PrivateAgentThatFailsAtOnceIsExplained) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Links> links, OpenWithAgent("echo 'cannot open root' >&2; exit 3"));
  const auto answer = links->source().Receive();
  EXPECT_FALSE(answer.ok());
  EXPECT_EQ(links->Explain(Side::kSource, "source agent: gone", true),
            "source agent (" + (dir_ / "src") + "): gone (the private agent exited with status 3)");
  EXPECT_EQ(links->Explain(Side::kDestination, "destination agent: destination: refused", false),
            "destination agent (" + (dir_ / "dst") + "): refused");
  links.reset();
  EXPECT_EQ(warning_, "cannot open root");
}

TEST_F(LinksTest, PrivateAgentGetsARootForEachLocalSide) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Links> links, OpenWithAgent("shift 2; echo \"$@\" >&2"));
  SyncRequest request;
  EXPECT_OK(links->Prepare(&request));
  EXPECT_EQ(request.source.root, "source");
  EXPECT_NE(request.source.session, request.destination.session);
  EXPECT_EQ(request.source.token, request.destination.token);
  EXPECT_FALSE(request.create_root);
  const std::string base = ResolveSource(dir_.path())->root;
  links.reset();
  EXPECT_EQ(warning_, "--root source=" + base + "/src:ro --root destination=" + base + "/dst:rw");
}

TEST_F(LinksTest, MissingAgentProgramIsTold) {
  LinkOptions options;
  options.find_agent = [] { return FindAgentProgram("", "", ""); };
  const auto links = Links::Open(At(dir_ / "src"), At(dir_ / "dst"), std::move(options));
  EXPECT_THAT(Refusal(links.status(), ErrorKind::kUsage), HasSubstr("uringsync-agent"));
}

TEST(LinkErrorTest, KindsSurviveAndCodesHaveDefaults) {
  EXPECT_EQ(LinkErrorKind(LinkError(ErrorKind::kVersion, "x")), ErrorKind::kVersion);
  EXPECT_EQ(LinkErrorKind(AsLinkError(absl::UnavailableError("gone"), "agent")), ErrorKind::kProtocol);
  EXPECT_EQ(std::string(AsLinkError(absl::UnavailableError("gone"), "agent").message()), "agent: gone");
  EXPECT_EQ(LinkErrorKind(absl::DeadlineExceededError("slow")), ErrorKind::kTimeout);
  EXPECT_EQ(LinkErrorKind(absl::InvalidArgumentError("bad file")), ErrorKind::kUsage);
  EXPECT_EQ(LinkErrorKind(absl::DataLossError("eio")), ErrorKind::kFileIo);
}

}  // namespace
}  // namespace uringsync
