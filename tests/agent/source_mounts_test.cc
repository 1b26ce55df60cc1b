#include "agent/source_mounts.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/agent/session_fixture.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

// What a real mount does is in tests/integration/mounts_test.py: here nothing is mounted, so whatever is recorded of
// the tree is lost.
class SourceMountsTest : public testing::Test {
 protected:
  MountReply Ask(std::vector<MountedPlace> recorded, std::vector<std::string> filters = {}) {
    TestAgent agent(dir_.path());
    TestSession session(&agent);
    EXPECT_OK(session.Handshake());
    OpenSession open = OpenFor(Role::kSource, 7, "");
    open.filters = std::move(filters);
    session.Send(open);
    session.Expect<SessionOpened>();
    session.Send(MountQuery{std::move(recorded)});
    MountReply reply = session.Expect<MountReply>();
    EXPECT_OK(session.End());
    return reply;
  }
  std::string At(const std::string& name) { return (std::filesystem::canonical(dir_.path()) / name).string(); }
  TempDir dir_;
};

TEST_F(SourceMountsTest, TheFileSystemOfTheTreeIsToldWithItsIdentity) {
  const MountReply reply = Ask({});
  ASSERT_THAT(reply.mounts, SizeIs(1));
  EXPECT_EQ(At("").rfind(reply.mounts[0].point, 0), 0u) << reply.mounts[0].point;
  EXPECT_FALSE(reply.mounts[0].file_system.empty());
  EXPECT_THAT(Ask(reply.mounts).lost, IsEmpty());
}

TEST_F(SourceMountsTest, ADirectoryOfTheTreeThatWasAMountPointIsALossAndOneThatIsGoneIsNone) {
  std::filesystem::create_directories(At("a/disk"));
  EXPECT_THAT(Ask({{At("a/disk"), "fs"}, {At("a/gone"), "fs"}, {"/elsewhere", "fs"}}).lost,
              ElementsAre(LostMount{At("a/disk"), false}));
  // What the rules hide is not in the tree.
  EXPECT_THAT(Ask({{At("a/disk"), "fs"}}, {"- /a/disk/"}).lost, IsEmpty());
}

TEST_F(SourceMountsTest, TheTreeItselfIsLostWhereItsMountPointIsNoneAnyMore) {
  const std::string root = std::filesystem::canonical(dir_.path()).string();
  EXPECT_THAT(Ask({{root, "fs"}}).lost, ElementsAre(Field(&LostMount::point, root)));
}

TEST_F(SourceMountsTest, AnotherFileSystemThatIsEmptyIsALossAndOneThatHoldsSomethingIsNone) {
  const std::string home = Ask({}).mounts.at(0).point;
  EXPECT_THAT(Ask({{home, "another"}}).lost, ElementsAre(LostMount{home, true}));
  std::filesystem::create_directories(At("lost+found"));
  EXPECT_THAT(Ask({{home, "another"}}).lost, SizeIs(1));
  std::filesystem::create_directories(At("something"));
  EXPECT_THAT(Ask({{home, "another"}}).lost, IsEmpty());
}

}  // namespace
}  // namespace uringsync
