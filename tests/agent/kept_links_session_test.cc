// Destination sessions that keep symlinks to directories: what they tell, what is written through them, and where they
// stop.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class KeptLinksSessionTest : public SessionTest {
 protected:
  KeptLinksSessionTest() {
    WriteFile(dir_ / "src/d/f", "new");
    WriteFile(dir_ / "dst/real/old", "old");
    WriteFile(dir_ / "out/g", "x");
    Link("real", "d");
    Link("../out", "leaves");
    Link(".", "back");
  }
  void Link(const std::string& target, const std::string& name) {
    ASSERT_EQ(::symlink(target.c_str(), (dir_ / ("dst/" + name)).c_str()), 0);
  }
  void OpenKeeping(bool keeps) {
    StartAgent();
    source_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(source_->Handshake());
    source_->Send(OpenFor(Role::kSource, 1, "src"));
    source_->Expect<SessionOpened>();
    destination_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(destination_->Handshake());
    OpenSession open = OpenFor(Role::kDestination, 2, "dst");
    open.route = {.kind = DataRoute::Kind::kLocal, .peer_session = TestSessionId(1)};
    open.keep_directory_links = keeps;
    destination_->Send(open);
    destination_->Expect<SessionOpened>();
  }
  Entry FileOfSource() {
    for (const DirectoryBatch& batch : ReadManifest(source_.get())) {
      if (batch.directory.text() == "d") return batch.entries.front();
    }
    return {};
  }
};

TEST_F(KeptLinksSessionTest, LinksToDirectoriesAreToldWithWhatIsThere) {
  OpenKeeping(true);
  std::vector<std::string> listed;
  for (const DirectoryBatch& batch : ReadManifest(destination_.get())) {
    listed.push_back(batch.directory.text());
    if (batch.directory.text() == "back") EXPECT_EQ(batch.error, ELOOP);
    for (const Entry& entry : batch.entries) {
      if (entry.name == "d") EXPECT_TRUE(entry.directory_link);
      if (entry.name == "leaves") EXPECT_EQ(entry.error, EXDEV);
    }
  }
  EXPECT_EQ(listed, (std::vector<std::string>{"", "back", "d", "real"}));
}

TEST_F(KeptLinksSessionTest, FilesAreWrittenThroughThemAndNeverOutOfTheTree) {
  OpenKeeping(true);
  const Entry file = FileOfSource();
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "d/f", file), Add(ActionKind::kPutFile, "leaves/f", file)});
  Finish();
  EXPECT_EQ(ReadFile(dir_ / "dst/real/f"), "new");
  EXPECT_FALSE(Exists("out/f"));
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].path.text(), "leaves/f");
}

TEST_F(KeptLinksSessionTest, WithoutTheOptionNothingGoesThroughALink) {
  OpenKeeping(false);
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "d/f", FileOfSource())});
  Finish();
  EXPECT_FALSE(Exists("dst/real/f"));
  EXPECT_EQ(destination_->problems.size(), 1u);
}

TEST_F(KeptLinksSessionTest, MetadataIsTheDirectorysAndADeleteTheLinks) {
  ASSERT_EQ(::chmod((dir_ / "src/d").c_str(), 0711), 0);
  OpenKeeping(true);
  Entry directory;
  Entry link;
  for (const DirectoryBatch& batch : ReadManifest(source_.get())) {
    for (const Entry& entry : batch.entries) {
      if (entry.name == "d") directory = entry;
    }
  }
  for (const DirectoryBatch& batch : ReadManifest(destination_.get())) {
    for (const Entry& entry : batch.entries) {
      if (entry.name == "leaves") link = entry;
    }
  }
  Action metadata = Add(ActionKind::kSetMetadata, "d", directory);
  Submit(Phase::kDelete, {Add(ActionKind::kDelete, "leaves", link)});
  Submit(Phase::kDirectoryMetadata, {metadata});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  struct stat found{};
  ASSERT_EQ(::stat((dir_ / "dst/real").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777u, 0711u);
  EXPECT_FALSE(Exists("dst/leaves"));
  EXPECT_TRUE(Exists("out/g"));
}

}  // namespace
}  // namespace uringsync
