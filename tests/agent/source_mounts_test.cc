#include "agent/source_mounts.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "agent/session_place.h"
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
              ElementsAre(LostMount{At("a/disk"), MountLoss::kUnmounted}));
  // What the rules hide is not in the tree.
  EXPECT_THAT(Ask({{At("a/disk"), "fs"}}, {"- /a/disk/"}).lost, IsEmpty());
}

TEST_F(SourceMountsTest, TheTreeItselfIsLostWhereItsMountPointIsNoneAnyMore) {
  const std::string root = std::filesystem::canonical(dir_.path()).string();
  EXPECT_THAT(Ask({{root, "fs"}}).lost, ElementsAre(Field(&LostMount::point, root)));
}

TEST_F(SourceMountsTest, AnotherFileSystemIsALossWhereItIsEmptyOrKnownToBeAnother) {
  const MountedPlace now = Ask({}).mounts.at(0);
  const std::string home = now.point;
  EXPECT_THAT(Ask({{home, "another"}}).lost, ElementsAre(LostMount{home, MountLoss::kEmptied}));
  std::filesystem::create_directories(At("lost+found"));
  EXPECT_THAT(Ask({{home, "another"}}).lost, SizeIs(1));
  std::filesystem::create_directories(At("something"));
  EXPECT_THAT(Ask({{home, "another"}}).lost, ElementsAre(LostMount{home, MountLoss::kReplaced}));
  // Of the same type, with a number that says nothing.
  EXPECT_THAT(Ask({{home, now.file_system.substr(0, now.file_system.find(' ')) + " number 0:1"}}).lost, IsEmpty());
}

TEST(AreOthersTest, TypesAndIdsThatLastDecideAndNothingElse) {
  EXPECT_TRUE(AreOthers("ext4 id 11", "ext4 id 12"));
  EXPECT_FALSE(AreOthers("ext4 id 11", "ext4 id 11"));
  EXPECT_TRUE(AreOthers("ext4 id 11", "xfs uuid 11"));
  EXPECT_TRUE(AreOthers("ext4 id 11", "nfs number 1:2"));
  EXPECT_TRUE(AreOthers("btrfs uuid 1-1 part 5", "btrfs uuid 1-2 part 5"));
  EXPECT_FALSE(AreOthers("btrfs uuid 1-1 part 5", "btrfs uuid 1-1 part 101")) << "another subvolume";
  EXPECT_FALSE(AreOthers("tmpfs number 1:2", "tmpfs number 1:3"));
  EXPECT_FALSE(AreOthers("xfs number 1:2", "xfs uuid 1-1")) << "an older kernel told it";
  EXPECT_FALSE(AreOthers("", "ext4 id 11"));
}

TEST(PlaceTest, OneTextForOneSetOfDirectoriesOfOneHost) {
  const std::string place = PlaceOfPaths("one", {"/a", "/b"});
  EXPECT_THAT(place, SizeIs(32));
  EXPECT_EQ(PlaceOfPaths("one", {"/b", "/a", "/b"}), place);
  EXPECT_NE(PlaceOfPaths("other", {"/a", "/b"}), place);
  EXPECT_NE(PlaceOfPaths("one", {"/a/b"}), place);
  EXPECT_NE(PlaceOfPaths("one", {"/a"}), place);
  EXPECT_THAT(PlaceOfPaths("one", {}), IsEmpty());
}

}  // namespace
}  // namespace uringsync
