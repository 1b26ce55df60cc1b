#include "agent/root_index.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <functional>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

constexpr std::chrono::seconds kPatience{30};

class RootIndexTest : public testing::TestWithParam<bool> {
 protected:
  RootIndexTest() {
    for (const char* name : {"a/x/file", "a/y/file", "a/y/other", "b/file"}) {
      WriteFile(dir_ / name, "contents");
      MakeOld(name);
    }
  }
  void MakeOld(const std::string& name) {
    const timespec times[2] = {{1000, 1}, {1000, 1}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }
  std::unique_ptr<RootIndex> Start(size_t memory = size_t{100} << 20) {
    RootIndexOptions options;
    options.name = "data";
    options.directory =
        std::make_shared<Directory>(UniqueFd(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), true);
    options.max_memory_bytes = memory;
    options.fanotify = GetParam();
    return std::make_unique<RootIndex>(std::move(options));
  }
  static TreeRow Row(RootIndex* index, const std::string& path = "") {
    const TreeReply reply = index->Answer(RelPath(), TreeQuery{.directories = {*RelPath::Parse(path)}});
    EXPECT_TRUE(reply.valid);
    return reply.rows.empty() ? TreeRow() : reply.rows[0];
  }
  // The digest of the root is another one after `change`, and what a fresh index of the same seed says.
  void ExpectSeen(RootIndex* index, const std::string& what, const std::function<void()>& change) {
    SCOPED_TRACE(what);
    const TreeRow before = Row(index);
    change();
    const TreeRow after = Row(index);
    EXPECT_FALSE(before.tree.Equals(after.tree));
    EXPECT_NE(before.tree, after.tree);
    std::unique_ptr<RootIndex> fresh = Start();
    fresh->Adopt(index->seed());
    ASSERT_TRUE(fresh->WaitReady(kPatience));
    EXPECT_EQ(Row(fresh.get()).tree.digest, after.tree.digest);
  }

  TempDir dir_;
};

TEST_P(RootIndexTest, TwoIndexesOfOneTreeAgreeWhenTheirSeedsDo) {
  std::unique_ptr<RootIndex> one = Start();
  std::unique_ptr<RootIndex> other = Start();
  ASSERT_TRUE(one->WaitReady(kPatience));
  ASSERT_TRUE(other->WaitReady(kPatience));
  EXPECT_TRUE(Row(one.get()).tree.certain);
  EXPECT_NE(Row(one.get()).tree.digest, Row(other.get()).tree.digest);
  other->Adopt(one->seed());
  ASSERT_TRUE(other->WaitReady(kPatience));
  EXPECT_EQ(other->seed(), one->seed());
  EXPECT_TRUE(Row(one.get()).tree.Equals(Row(other.get()).tree));
  EXPECT_EQ(Row(one.get()).tree.below.entries, 8u);
  EXPECT_EQ(Row(one.get(), "a").children.size(), 2u);
  EXPECT_FALSE(Row(one.get(), "nothing").found);
}

TEST_P(RootIndexTest, EveryKindOfChangeIsSeen) {
  std::unique_ptr<RootIndex> index = Start();
  ASSERT_TRUE(index->WaitReady(kPatience));
  const UniqueFd open(::open((dir_ / "a/y/other").c_str(), O_RDWR | O_CLOEXEC));
  ExpectSeen(index.get(), "contents", [&] {
    WriteFile(dir_ / "a/x/file", "other contents");
    MakeOld("a/x/file");
  });
  ExpectSeen(index.get(), "mode", [&] { ::chmod((dir_ / "b/file").c_str(), 0600); });
  ExpectSeen(index.get(), "new file", [&] {
    WriteFile(dir_ / "b/new", "1");
    MakeOld("b/new");
  });
  ExpectSeen(index.get(), "deleted", [&] { ::unlink((dir_ / "b/new").c_str()); });
  ExpectSeen(index.get(), "renamed", [&] { ::rename((dir_ / "b/file").c_str(), (dir_ / "b/renamed").c_str()); });
  ExpectSeen(index.get(), "written through an open descriptor", [&] {
    EXPECT_EQ(::pwrite(open.get(), "longer than before", 18, 0), 18);
    const timespec times[2] = {{2000, 1}, {2000, 1}};
    ::futimens(open.get(), times);
  });
  ExpectSeen(index.get(), "new directories", [&] {
    WriteFile(dir_ / "new/deep/file", "1");
    MakeOld("new/deep/file");
  });
  ExpectSeen(index.get(), "change in new directory",
             [&] { ::truncate((dir_ / "new/deep/file").c_str(), 5), MakeOld("new/deep/file"); });
  ExpectSeen(index.get(), "moved directory", [&] { ::rename((dir_ / "new").c_str(), (dir_ / "b/new").c_str()); });
  ExpectSeen(index.get(), "change in moved directory",
             [&] { ::truncate((dir_ / "b/new/deep/file").c_str(), 9), MakeOld("b/new/deep/file"); });
  ExpectSeen(index.get(), "mode of a directory", [&] { ::chmod((dir_ / "a/x").c_str(), 0700); });
  ExpectSeen(index.get(), "mode of the root", [&] { ::chmod(dir_.path().c_str(), 0711); });
  ExpectSeen(index.get(), "directory replaced", [&] {
    ::rename((dir_ / "a/x").c_str(), (dir_ / "a/z").c_str());
    ::rename((dir_ / "a/y").c_str(), (dir_ / "a/x").c_str());
  });
  if (::setxattr((dir_ / "b/renamed").c_str(), "user.x", "1", 1, 0) == 0) {
    ExpectSeen(index.get(), "attribute", [&] { ::setxattr((dir_ / "b/renamed").c_str(), "user.x", "2", 1, 0); });
  }
}

TEST_P(RootIndexTest, FilesWithSeveralLinksMakeTheirDirectoryUncertain) {
  ASSERT_EQ(::link((dir_ / "a/x/file").c_str(), (dir_ / "a/x/link").c_str()), 0);
  std::unique_ptr<RootIndex> index = Start();
  ASSERT_TRUE(index->WaitReady(kPatience));
  EXPECT_FALSE(Row(index.get()).tree.certain);
  EXPECT_FALSE(Row(index.get(), "a/x").tree.certain);
  EXPECT_TRUE(Row(index.get(), "a/y").tree.certain);
  EXPECT_TRUE(Row(index.get(), "b").tree.certain);
}

TEST_P(RootIndexTest, AFurtherLinkToAFileMakesTheIndexStartAnew) {
  std::unique_ptr<RootIndex> index = Start();
  ASSERT_TRUE(index->WaitReady(kPatience));
  ASSERT_EQ(::link((dir_ / "a/x/file").c_str(), (dir_ / "b/link").c_str()), 0);
  EXPECT_FALSE(index->Answer(RelPath(), TreeQuery{.directories = {RelPath()}}).valid);
  ASSERT_TRUE(index->WaitReady(kPatience));
  EXPECT_FALSE(Row(index.get(), "a/x").tree.certain);
}

TEST_P(RootIndexTest, AFileModifiedJustNowMakesItsDirectoryUncertainUntilItHasSettled) {
  std::unique_ptr<RootIndex> index = Start();
  ASSERT_TRUE(index->WaitReady(kPatience));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  // On a busy machine it may have settled before anybody looks.
  bool uncertain = false;
  while (!uncertain && std::chrono::steady_clock::now() < deadline) {
    WriteFile(dir_ / "b/file", "just now");
    uncertain = !Row(index.get(), "b").tree.certain;
  }
  EXPECT_TRUE(uncertain);
  while (!Row(index.get(), "b").tree.certain && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(Row(index.get(), "b").tree.certain);
}

TEST_P(RootIndexTest, LostEventsMakeItInvalidUntilItWasBuiltAgain) {
  std::unique_ptr<RootIndex> index = Start();
  ASSERT_TRUE(index->WaitReady(kPatience));
  const uint64_t seed = index->seed();
  // The reader may keep up for a while; more names than one queue holds come faster than they are read, or are all
  // read.
  for (int i = 0; i < 60'000; ++i)
    UniqueFd(::open((dir_ / ("b/" + std::to_string(i))).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  const TreeReply reply = index->Answer(RelPath(), TreeQuery{.directories = {RelPath()}});
  if (reply.valid) {
    EXPECT_EQ(reply.rows[0].tree.below.entries, 60'008u);
  } else {
    index->seed();  // as the next session asks
    ASSERT_TRUE(index->WaitReady(kPatience));
    EXPECT_EQ(index->seed(), seed);
    EXPECT_EQ(Row(index.get()).tree.below.entries, 60'008u);
  }
}

TEST_P(RootIndexTest, AnIndexThatWouldTakeTooMuchMemoryIsOff) {
  std::unique_ptr<RootIndex> index = Start(/*memory=*/1000);
  EXPECT_FALSE(index->WaitReady(kPatience));
  EXPECT_EQ(index->seed(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Kinds, RootIndexTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Fanotify" : "Inotify"; });

TEST(IndexCoversTest, OnlySessionsThatKeepTheUsualMetadataAreCovered) {
  OpenSession open;
  EXPECT_TRUE(IndexCovers(open));
  open.selection.explicit_owner = true;
  EXPECT_TRUE(IndexCovers(open));
  open.selection.atime = true;
  EXPECT_FALSE(IndexCovers(open));
  OpenSession checksum;
  checksum.checksum = true;
  EXPECT_FALSE(IndexCovers(checksum));
  OpenSession operands;
  operands.operands.emplace_back();
  EXPECT_FALSE(IndexCovers(operands));
}

}  // namespace
}  // namespace uringsync
