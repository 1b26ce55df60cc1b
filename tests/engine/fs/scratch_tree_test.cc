#include "engine/fs/scratch_tree.h"

#include <cerrno>

#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

class ScratchTreeTest : public testing::Test {
 protected:
  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
  StateNamer namer_{7};

  bool Exists(const std::string& path) {
    struct stat found;
    return ::lstat(path.c_str(), &found) == 0;
  }
};

TEST_F(ScratchTreeTest, IsMadePrivateUnderAStateName) {
  ASSERT_OK_AND_ASSIGN(const ScratchTree tree, MakeScratchTree(driver_.get(), *root_, &namer_));
  EXPECT_TRUE(IsStateName(tree.name));
  EXPECT_EQ(LStat(dir_ / tree.name).st_mode & 07777, 0700u);
  EXPECT_TRUE(tree.directory->readable());
}

TEST_F(ScratchTreeTest, ATakenNameIsPassedOver) {
  MakeDirectories(dir_ / StateNamer(7).Next());
  ASSERT_OK_AND_ASSIGN(const ScratchTree tree, MakeScratchTree(driver_.get(), *root_, &namer_));
  EXPECT_NE(tree.name, StateNamer(7).Next());
}

TEST_F(ScratchTreeTest, GoesWithEverythingInIt) {
  ASSERT_OK_AND_ASSIGN(const ScratchTree tree, MakeScratchTree(driver_.get(), *root_, &namer_));
  for (int i = 0; i < 1500; ++i) WriteFile(dir_ / (tree.name + "/shard-0/file-" + std::to_string(i)), "x");
  WriteFile(dir_ / (tree.name + "/shard-1/large"), "x");
  EXPECT_OK(RemoveStateTree(driver_.get(), root_->fd(), tree.name));
  EXPECT_FALSE(Exists(dir_ / tree.name));
  EXPECT_OK(RemoveStateTree(driver_.get(), root_->fd(), tree.name));
}

TEST_F(ScratchTreeTest, AFileOrALinkUnderTheNameGoesToo) {
  const std::string name = namer_.Next();
  WriteFile(dir_ / "kept/file", "x");
  ASSERT_EQ(::symlink("kept", (dir_ / name).c_str()), 0);
  EXPECT_OK(RemoveStateTree(driver_.get(), root_->fd(), name));
  EXPECT_FALSE(Exists(dir_ / name));
  EXPECT_TRUE(Exists(dir_ / "kept/file"));
}

TEST_F(ScratchTreeTest, ALinkInsideIsNotFollowed) {
  ASSERT_OK_AND_ASSIGN(const ScratchTree tree, MakeScratchTree(driver_.get(), *root_, &namer_));
  WriteFile(dir_ / "kept/file", "x");
  ASSERT_EQ(::symlink("../kept", (dir_ / (tree.name + "/link")).c_str()), 0);
  EXPECT_OK(RemoveStateTree(driver_.get(), root_->fd(), tree.name));
  EXPECT_TRUE(Exists(dir_ / "kept/file"));
}

TEST_F(ScratchTreeTest, ATreeDeeperThanOursStays) {
  const std::string name = namer_.Next();
  std::string path = dir_ / name;
  for (int i = 0; i <= kMaxScratchDepth; ++i) path += "/d";
  MakeDirectories(path);
  EXPECT_EQ(StatusErrno(RemoveStateTree(driver_.get(), root_->fd(), name)), ENOTEMPTY);
  EXPECT_TRUE(Exists(path));
}

TEST_F(ScratchTreeTest, OfADeadSessionItGoesWithEverythingInIt) {
  ASSERT_OK_AND_ASSIGN(const ScratchTree tree, MakeScratchTree(driver_.get(), *root_, &namer_));
  WriteFile(dir_ / (tree.name + "/shard-0/file-1"), "x");
  WriteFile(dir_ / (tree.name + "/shard-12/large"), "x");
  EXPECT_OK(RemoveDeadState(driver_.get(), root_->fd(), tree.name));
  EXPECT_FALSE(Exists(dir_ / tree.name));
  EXPECT_OK(RemoveDeadState(driver_.get(), root_->fd(), tree.name));
  MakeDirectories(dir_ / tree.name);
  EXPECT_OK(RemoveDeadState(driver_.get(), root_->fd(), tree.name));
  EXPECT_FALSE(Exists(dir_ / tree.name));
}

TEST_F(ScratchTreeTest, ADirectoryOfSomebodyElseUnderTheNameStaysAsItIs) {
  for (const char* held : {"precious", "shard-x/file", "shard-0/below/file", "shard-0x/file"}) {
    ASSERT_OK_AND_ASSIGN(const ScratchTree tree, MakeScratchTree(driver_.get(), *root_, &namer_));
    WriteFile(dir_ / (tree.name + "/shard-1/file"), "x");
    WriteFile(dir_ / (tree.name + "/" + held), "x");
    EXPECT_EQ(StatusErrno(RemoveDeadState(driver_.get(), root_->fd(), tree.name)), ENOTEMPTY) << held;
    EXPECT_TRUE(Exists(dir_ / (tree.name + "/" + held)));
    EXPECT_TRUE(Exists(dir_ / (tree.name + "/shard-1/file")));
  }
  ASSERT_OK_AND_ASSIGN(const ScratchTree open, MakeScratchTree(driver_.get(), *root_, &namer_));
  WriteFile(dir_ / (open.name + "/shard-0/file"), "x");
  ASSERT_EQ(::chmod((dir_ / open.name).c_str(), 0755), 0);
  EXPECT_EQ(StatusErrno(RemoveDeadState(driver_.get(), root_->fd(), open.name)), ENOTEMPTY);
  EXPECT_TRUE(Exists(dir_ / (open.name + "/shard-0/file")));
}

}  // namespace
}  // namespace uringsync
