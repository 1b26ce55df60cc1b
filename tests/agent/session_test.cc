#include "agent/session.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class SessionOpeningTest : public SessionTest {};

TEST_F(SessionOpeningTest, SecondSessionIntoTheSameDirectoryIsRefused) {
  OpenBoth();
  TestSession second(agent_.get());
  ASSERT_OK(second.Handshake());
  second.Send(OpenFor(Role::kDestination, 3, "dst"));
  SessionError error = second.Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kLocked);
  EXPECT_THAT(error.message, testing::HasSubstr("in use by another session (process " + std::to_string(::getpid())));
  EXPECT_THAT(error.message, testing::HasSubstr("; --wait waits for it to end"));
  // The audit line says the same.
  EXPECT_EQ(ToStd(second.End().message()), error.message);
}

TEST_F(SessionOpeningTest, MissingSourceAndFileInPlaceOfADirectoryAreNamed) {
  WriteFile(dir_ / "file", "x");
  StartAgent();
  TestSession missing(agent_.get());
  ASSERT_OK(missing.Handshake());
  missing.Send(OpenFor(Role::kSource, 1, "nowhere"));
  SessionError error = missing.Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kSelection);
  EXPECT_THAT(error.message, testing::HasSubstr("nowhere does not exist"));
  TestSession file(agent_.get());
  ASSERT_OK(file.Handshake());
  file.Send(OpenFor(Role::kSource, 2, "file"));
  EXPECT_THAT(file.Expect<SessionError>().message, testing::HasSubstr("is a file"));
}

// A late mount over a source root once looked like an empty source, and --delete emptied the destination.
TEST_F(SessionOpeningTest, ARootWhosePathNamesAnotherDirectoryByNowIsRefused) {
  const std::string path = dir_ / "served";
  ASSERT_EQ(::mkdir(path.c_str(), 0755), 0);
  TestAgent agent(path);
  ASSERT_EQ(::rename(path.c_str(), (dir_ / "moved").c_str()), 0);
  for (const char* expected : {"moved, removed or hidden", "replaced or mounted over"}) {
    TestSession session(&agent);
    ASSERT_OK(session.Handshake());
    session.Send(OpenFor(Role::kSource, 1, ""));
    const SessionError error = session.Expect<SessionError>();
    EXPECT_EQ(error.kind, ErrorKind::kSelection);
    EXPECT_THAT(error.message, testing::HasSubstr(expected));
    ::mkdir(path.c_str(), 0755);
  }
}

TEST_F(SessionOpeningTest, MissingDestinationIsMadeWhenAskedForAndNotInADryRun) {
  StartAgent();
  OpenSession open = OpenFor(Role::kDestination, 1, "made");
  open.create_root = true;
  open.dry_run = true;
  {
    TestSession dry(agent_.get());
    ASSERT_OK(dry.Handshake());
    dry.Send(open);
    EXPECT_FALSE(dry.Expect<SessionOpened>().exists);
    EXPECT_TRUE(ReadManifest(&dry).empty());
  }
  EXPECT_FALSE(Exists("made"));
  open.dry_run = false;
  TestSession real(agent_.get());
  ASSERT_OK(real.Handshake());
  real.Send(open);
  SessionOpened opened = real.Expect<SessionOpened>();
  EXPECT_TRUE(opened.exists && opened.created);
  EXPECT_TRUE(Exists("made"));
}

TEST_F(SessionOpeningTest, WrongTokenForALocalSourceIsRefused) {
  StartAgent();
  TestSession source(agent_.get());
  ASSERT_OK(source.Handshake());
  source.Send(OpenFor(Role::kSource, 1, "src"));
  source.Expect<SessionOpened>();
  TestSession thief(agent_.get());
  ASSERT_OK(thief.Handshake());
  OpenSession open = OpenFor(Role::kDestination, 2, "dst");
  open.token.fill(1);
  open.route.kind = DataRoute::Kind::kLocal;
  open.route.peer_session = TestSessionId(1);
  thief.Send(open);
  thief.Expect<SessionOpened>();
  // The source may open after the destination, so it is looked for with the first batch.
  ActionBatch batch;
  batch.sequence = 1;
  thief.Send(batch);
  EXPECT_THAT(thief.Expect<SessionError>().message, testing::HasSubstr("wrong token"));
}

TEST_F(SessionOpeningTest, NothingToDoNeedsNoSource) {
  StartAgent();
  destination_ = std::make_unique<TestSession>(agent_.get());
  ASSERT_OK(destination_->Handshake());
  OpenSession open = OpenFor(Role::kDestination, 2, "dst");
  open.route.kind = DataRoute::Kind::kConnect;
  open.route.host = "127.0.0.1";
  open.route.port = 1;
  destination_->Send(open);
  destination_->Expect<SessionOpened>();
  ApplyDone done = Finish();
  EXPECT_EQ(done.counters.actions_done, 0u);
  EXPECT_EQ(done.durability, Durability::kBatch);
}

TEST_F(SessionOpeningTest, NothingToDoNeedsNoSourceThoughANewDestinationConnectsAtOnce) {
  StartAgent();
  destination_ = std::make_unique<TestSession>(agent_.get());
  ASSERT_OK(destination_->Handshake());
  OpenSession open = OpenFor(Role::kDestination, 2, "new");
  open.create_root = true;
  open.route.kind = DataRoute::Kind::kConnect;
  open.route.host = "no.such.host.invalid";
  open.route.port = 1;
  destination_->Send(open);
  EXPECT_TRUE(destination_->Expect<SessionOpened>().created);
  EXPECT_EQ(Finish().durability, Durability::kBatch);
}

TEST_F(SessionOpeningTest, MessagesOutOfOrderAreAProtocolError) {
  StartAgent();
  TestSession session(agent_.get());
  ASSERT_OK(session.Handshake());
  session.Send(StartManifest{});
  EXPECT_EQ(session.Expect<SessionError>().kind, ErrorKind::kProtocol);
  TestSession source(agent_.get());
  ASSERT_OK(source.Handshake());
  source.Send(OpenFor(Role::kSource, 1, "src"));
  source.Expect<SessionOpened>();
  source.Send(FinishApply{});
  EXPECT_EQ(source.Expect<SessionError>().kind, ErrorKind::kProtocol);
}

TEST_F(SessionOpeningTest, PeerThatDoesNotOpenASessionInTimeIsToldSo) {
  StartAgent();
  OpeningLimits limits;
  limits.message = std::chrono::milliseconds(20);
  TestSession silent(agent_.get(), limits);
  SessionError error = silent.Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kTimeout);
  EXPECT_THAT(error.message, testing::HasSubstr("Hello did not come"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(silent.End()));
  limits.message = std::chrono::milliseconds(300);
  TestSession idle(agent_.get(), limits);
  ASSERT_OK(idle.Handshake());
  EXPECT_THAT(idle.Expect<SessionError>().message, testing::HasSubstr("OpenSession did not come"));
}

TEST_F(SessionOpeningTest, LatePeerThatDoesNotHangUpIsCutOff) {
  StartAgent();
  OpeningLimits limits{std::chrono::milliseconds(10), std::chrono::milliseconds(10)};
  TestSession silent(agent_.get(), limits);
  silent.Expect<SessionError>();
  EXPECT_FALSE(silent.stream()->Receive().ok());
}

TEST_F(SessionOpeningTest, OpenedSessionMayBeIdle) {
  StartAgent();
  OpeningLimits limits;
  limits.message = std::chrono::milliseconds(300);
  TestSession session(agent_.get(), limits);
  ASSERT_OK(session.Handshake());
  session.Send(OpenFor(Role::kSource, 1, "src"));
  session.Expect<SessionOpened>();
  pollfd nothing{-1, 0, 0};
  ::poll(&nothing, 1, 400);  // the time that would be too long before
  EXPECT_FALSE(ReadManifest(&session).empty());
}

}  // namespace
}  // namespace uringsync
