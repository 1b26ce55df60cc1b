#include "engine/fs/link_follower.h"

#include <cerrno>

#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

class LinkFollowerTest : public testing::Test {
 protected:
  LinkFollowerTest() {
    WriteFile(dir_ / "root/d/f", "inside");
    WriteFile(dir_ / "out/f", "outside");
    Link("d/f", "root/to-file");
    Link("d", "root/to-directory");
    Link("../out/f", "root/leaves");
    Link((dir_ / "root/d/f").c_str(), "root/absolute");
    Link("nowhere", "root/dangles");
    Link("itself", "root/itself");
    Link(".", "root/d/loop");
    root_ = MustOpenRoot(driver_.get(), dir_ / "root");
  }
  void Link(const char* target, const std::string& name) { ASSERT_EQ(::symlink(target, (dir_ / name).c_str()), 0); }
  LinkPlace Place(const std::string& name, bool beneath) const {
    return {root_->fd(), name.c_str(), FollowBase{root_, "", beneath}.Below(name)};
  }
  int ErrorOf(const std::string& name, bool beneath) const {
    struct statx stat{};
    return StatusErrno(PinFollowed(driver_.get(), Place(name, beneath), &stat).status());
  }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  DirectoryPtr root_;
};

TEST_F(LinkFollowerTest, ALinkIsWhatItLeadsTo) {
  for (const bool beneath : {false, true}) {
    struct statx stat{};
    EXPECT_OK(PinFollowed(driver_.get(), Place("to-file", beneath), &stat).status());
    EXPECT_EQ(stat.stx_ino, LStat(dir_ / "root/d/f").st_ino);
    ASSERT_OK_AND_ASSIGN(const SourceFile file, OpenFollowedFile(driver_.get(), Place("to-file", beneath)));
    EXPECT_EQ(file.stat.stx_size, 6u);
    EXPECT_OK(OpenFollowedDirectory(driver_.get(), FollowBase{root_, "to-directory", beneath}, DirectoryAccess::kRead)
                  .status());
    EXPECT_THAT(OpenFollowedFile(driver_.get(), Place("to-directory", beneath)),
                StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

TEST_F(LinkFollowerTest, LinksThatLeadNowhereAndLoopsAreErrors) {
  for (const bool beneath : {false, true}) {
    EXPECT_EQ(ErrorOf("dangles", beneath), ENOENT);
    EXPECT_EQ(ErrorOf("itself", beneath), ELOOP);
  }
  std::string path = "d";
  for (int level = 0; level < 41; ++level) path += "/loop";
  EXPECT_EQ(StatusErrno(OpenFollowedDirectory(driver_.get(), FollowBase{root_, path}, DirectoryAccess::kPath).status()),
            ELOOP);
}

TEST_F(LinkFollowerTest, NothingLeadsOutOfABaseThatIsABorder) {
  for (const char* name : {"leaves", "absolute"}) {
    EXPECT_EQ(ErrorOf(name, false), 0);
    EXPECT_EQ(ErrorOf(name, true), EXDEV);
  }
}

TEST_F(LinkFollowerTest, DescriptorsOfThisProcessAreNoTargets) {
  Link("/proc/self/fd/0", "root/magic");
  EXPECT_EQ(ErrorOf("magic", false), ELOOP);
}

TEST_F(LinkFollowerTest, AFifoBehindALinkIsNotOpened) {
  ASSERT_EQ(::mkfifo((dir_ / "root/fifo").c_str(), 0600), 0);
  Link("fifo", "root/to-fifo");
  EXPECT_THAT(OpenFollowedFile(driver_.get(), Place("to-fifo", false)),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace uringsync
