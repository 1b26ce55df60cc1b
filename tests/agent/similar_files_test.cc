#include "agent/similar_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "engine/fs/atomic_file.h"
#include "engine/fs/file.h"
#include "engine/ring/driver.h"
#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

TEST(LikenessTest, CommonBeginningsAndEndsCountOnce) {
  EXPECT_EQ(Likeness("abc", "abc"), 1);
  EXPECT_EQ(Likeness("aa", "aaaa"), 2.0 * 2 / 6);
  EXPECT_EQ(Likeness("x", "y"), 0);
  EXPECT_EQ(Likeness("", "y"), 0);
  EXPECT_GT(Likeness("linux-6.1.tar.xz", "linux-6.2.tar.xz"), 0.9);
}

class SimilarFilesTest : public testing::Test {
 protected:
  static constexpr size_t kSize = 2 << 20;
  Entry Wanted(const std::string& name, uint64_t size = kSize) {
    Entry wanted;
    wanted.name = name;
    wanted.type = FileType::kRegular;
    wanted.size_bytes = size;
    return wanted;
  }
  // Inode of what is found; 0: nothing.
  uint64_t Found(SimilarFiles* similar, const Entry& wanted) {
    std::shared_ptr<const DeltaBasis> basis = similar->Open(*root_, RelPath(), wanted, DeltaPolicy::kAuto, &direct_io_);
    struct statx stat = {};
    if (basis == nullptr || !StatDescriptor(driver_.get(), basis->fd.get(), &stat).ok()) return 0;
    return stat.stx_ino;
  }
  uint64_t Make(const std::string& name, size_t size = kSize) {
    WriteFile(dir_ / name, std::string(size, 'x'));
    return LStat(dir_ / name).st_ino;
  }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
  DirectIo direct_io_{DirectIoMode::kOff, nullptr};
};

TEST_F(SimilarFilesTest, TheNearestNameIsTaken) {
  Make("other.bin");
  Make("image-1.tar");
  const uint64_t nearest = Make("image-1.1.img");
  SimilarFiles similar(driver_.get());
  EXPECT_EQ(Found(&similar, Wanted("image-1.2.img")), nearest);
  EXPECT_EQ(Found(&similar, Wanted("nothing like it at all")), 0u);
}

TEST_F(SimilarFilesTest, SizeAndTimeCountMoreThanANameThatIsNear) {
  Make("image-1.1.img", kSize + 1);
  const uint64_t moved = Make("called otherwise", kSize + 2);
  SimilarFiles similar(driver_.get());
  Entry wanted = Wanted("image-1.2.img", kSize + 2);
  struct statx stat = {};
  ASSERT_TRUE(StatAt(driver_.get(), root_->fd(), "called otherwise", &stat).ok());
  wanted.mtime = {stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec};
  EXPECT_EQ(Found(&similar, wanted), moved);
}

TEST_F(SimilarFilesTest, WhatNoDeltaCouldUseIsNoHelp) {
  Make("image-1.1.img", 1000);
  MakeDirectory(driver_.get(), root_->fd(), "image-1.2.im").IgnoreError();
  SimilarFiles similar(driver_.get());
  EXPECT_EQ(Found(&similar, Wanted("image-1.2.img")), 0u);
}

}  // namespace
}  // namespace uringsync
