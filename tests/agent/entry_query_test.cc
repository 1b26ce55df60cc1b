// What agents tell of single objects of a session's tree.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "tests/agent/session_fixture.h"

namespace uringsync {
namespace {

class EntryQueryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(Path("tree/d"));
    std::ofstream(Path("tree/d/f")) << "contents";
    std::filesystem::create_symlink("f", Path("tree/d/l"));
    std::filesystem::create_directory_symlink("d", Path("tree/dl"));
    std::ofstream(Path("tree/.~uringsync~0000000000000001.1.tmp")) << "temporary";
  }
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  std::vector<EntryFinding> Ask(const OpenSession& open, std::vector<std::string> paths) {
    TestAgent agent(dir_.path());
    TestSession session(&agent);
    EXPECT_OK(session.Handshake());
    session.Send(open);
    session.Expect<SessionOpened>();
    EntryQuery query;
    for (const std::string& path : paths) query.paths.push_back(*RelPath::Parse(path));
    session.Send(query);
    return session.Expect<EntryReply>().findings;
  }

  TempDir dir_;
};

TEST_F(EntryQueryTest, ObjectsAreToldAsAManifestTellsThem) {
  const std::vector<EntryFinding> found =
      Ask(OpenFor(Role::kSource, 1, "tree"), {"d/f", "d/l", "d", "", "d/none", "none/x"});
  ASSERT_EQ(found.size(), 6u);
  struct stat stat = {};
  ASSERT_EQ(::lstat(Path("tree/d/f").c_str(), &stat), 0);
  EXPECT_EQ(found[0].entry->id.inode, stat.st_ino);
  EXPECT_EQ(found[0].entry->size_bytes, 8u);
  EXPECT_EQ(found[1].entry->symlink_target, "f");
  EXPECT_EQ(found[2].entry->type, FileType::kDirectory);
  EXPECT_EQ(found[3].entry->type, FileType::kDirectory);
  for (size_t missing : {4, 5}) {
    EXPECT_FALSE(found[missing].entry.has_value());
    EXPECT_EQ(found[missing].error, 0);
  }
}

TEST_F(EntryQueryTest, NoLinkIsFollowedOnTheWayAndNoTemporaryIsThere) {
  const std::vector<EntryFinding> found =
      Ask(OpenFor(Role::kSource, 1, "tree"), {"dl/f", "d/f/x", ".~uringsync~0000000000000001.1.tmp"});
  ASSERT_EQ(found.size(), 3u);
  EXPECT_FALSE(found[0].entry.has_value());
  EXPECT_TRUE(found[0].error == ELOOP || found[0].error == ENOTDIR) << found[0].error;
  EXPECT_FALSE(found[1].entry.has_value());
  EXPECT_EQ(found[1].error, ENOTDIR);
  EXPECT_FALSE(found[2].entry.has_value());
}

TEST_F(EntryQueryTest, AChecksumSessionTellsDigests) {
  OpenSession open = OpenFor(Role::kDestination, 1, "tree");
  open.dry_run = true;
  open.checksum = true;
  const std::vector<EntryFinding> found = Ask(open, {"d/f", "d/l"});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0].entry->content_digest.has_value());
  EXPECT_FALSE(found[1].entry->content_digest.has_value());
}

TEST_F(EntryQueryTest, PathsOfAViewAreThoseOfTheTransfer) {
  OpenSession open = OpenFor(Role::kSource, 1, "tree");
  open.operands = {
      {.base = "d", .from = *RelPath::Parse("f"), .at = *RelPath::Parse("renamed"), .depth = OperandDepth::kObject}};
  const std::vector<EntryFinding> found = Ask(open, {"renamed", "d/f"});
  ASSERT_EQ(found.size(), 2u);
  ASSERT_TRUE(found[0].entry.has_value());
  EXPECT_EQ(found[0].entry->size_bytes, 8u);
  EXPECT_FALSE(found[1].entry.has_value());
}

}  // namespace
}  // namespace uringsync
