#include "engine/fs/directory.h"

#include <cerrno>
#include <set>

#include "engine/fs/syscalls.h"
#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

class DirectoryTest : public testing::Test {
 protected:
  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());

  absl::StatusOr<DirectoryPtr> Open(std::string_view path) { return OpenBeneath(driver_.get(), *root_, Rel(path)); }
};

TEST_F(DirectoryTest, OpensADirectoryBelowTheRoot) {
  MakeDirectories(dir_ / "a/b/c");
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr c, Open("a/b/c"));
  EXPECT_TRUE(c->readable());
  struct stat found = {};
  ::fstat(c->fd(), &found);
  EXPECT_EQ(found.st_ino, LStat(dir_ / "a/b/c").st_ino);
}

TEST_F(DirectoryTest, TheEmptyPathIsTheRootItself) {
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr same, Open(""));
  EXPECT_NE(same->fd(), root_->fd());
}

TEST_F(DirectoryTest, ASymlinkOnTheWayIsNeverFollowed) {
  MakeDirectories(dir_ / "inside/target");
  ASSERT_EQ(::symlink("/etc", (dir_ / "outside").c_str()), 0);
  ASSERT_EQ(::symlink("inside", (dir_ / "link").c_str()), 0);
  EXPECT_EQ(StatusErrno(Open("outside").status()), ELOOP);
  EXPECT_EQ(StatusErrno(Open("link").status()), ELOOP);
  EXPECT_EQ(StatusErrno(Open("link/target").status()), ELOOP);
}

TEST_F(DirectoryTest, AFileOrNothingInTheWayIsToldApart) {
  WriteFile(dir_ / "file", "x");
  EXPECT_EQ(StatusErrno(Open("file").status()), ENOTDIR);
  EXPECT_EQ(StatusErrno(Open("file/below").status()), ENOTDIR);
  EXPECT_THAT(Open("missing/below"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(DirectoryTest, TheOperatorsOwnPathMayHoldLinks) {
  MakeDirectories(dir_ / "real");
  ASSERT_EQ(::symlink("real", (dir_ / "alias").c_str()), 0);
  EXPECT_OK(OpenRoot(driver_.get(), dir_ / "alias"));
  EXPECT_THAT(OpenRoot(driver_.get(), dir_ / "none"),
              StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("none")));
}

TEST_F(DirectoryTest, DepthBeyondPathMaxIsReached) {
  // 60 levels of 200 bytes: three times PATH_MAX.
  const std::string name(200, 'n');
  std::string path;
  UniqueFd at(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY));
  for (int level = 0; level < 60; ++level) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0700), 0);
    at.Reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
    path += (path.empty() ? "" : "/") + name;
  }
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr deepest, Open(path));
  struct stat a = {};
  struct stat b = {};
  ::fstat(deepest->fd(), &a);
  ::fstat(at.get(), &b);
  EXPECT_EQ(a.st_ino, b.st_ino);
}

TEST_F(DirectoryTest, AnUnreadableDirectoryStillServesAsABase) {
  SKIP_UNLESS_ROOT();
  ::chmod(dir_.path().c_str(), 0755);
  MakeDirectories(dir_ / "shut/inner");
  ::chmod((dir_ / "shut").c_str(), 0711);
  ::chmod((dir_ / "shut/inner").c_str(), 0755);
  const std::string path = dir_.path();
  EXPECT_TRUE(AsNobody([&] {
    const std::unique_ptr<Driver> driver = MakeTestDriver();
    const DirectoryPtr root = MustOpenRoot(driver.get(), path);
    const auto shut = OpenBeneath(driver.get(), *root, Rel("shut"));
    if (!shut.ok() || (*shut)->readable()) return false;
    const auto strict = OpenBeneath(driver.get(), *root, Rel("shut"), DirectoryAccess::kRead);
    if (StatusErrno(strict.status()) != EACCES) return false;
    return OpenBeneath(driver.get(), *root, Rel("shut/inner")).ok();
  }));
}

TEST_F(DirectoryTest, ListingLeavesTheAccessTimeAlone) {
  MakeDirectories(dir_ / "d");
  // Older than the modification: relatime would move it.
  const timespec times[2] = {{.tv_sec = 1'000'000'000, .tv_nsec = 7}, {.tv_sec = 1'000'000'001, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / "d").c_str(), times, 0), 0);
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr d, Open("d"));
  DirectoryReader reader(driver_.get(), d->fd());
  DirectoryItem item;
  EXPECT_EQ(reader.Next(&item), 0);
  EXPECT_EQ(LStat(dir_ / "d").st_atim.tv_sec, 1'000'000'000);
}

TEST_F(DirectoryTest, ADirectoryOfAnotherUserIsListedAllTheSame) {
  SKIP_UNLESS_ROOT();
  ::chmod(dir_.path().c_str(), 0755);
  MakeDirectories(dir_ / "roots");
  ::chmod((dir_ / "roots").c_str(), 0755);
  const std::string path = dir_.path();
  EXPECT_TRUE(AsNobody([&] {
    const std::unique_ptr<Driver> driver = MakeTestDriver();
    const DirectoryPtr root = MustOpenRoot(driver.get(), path);
    const absl::StatusOr<DirectoryPtr> opened = OpenBeneath(driver.get(), *root, Rel("roots"));
    return opened.ok() && (*opened)->readable();
  }));
}

TEST_F(DirectoryTest, EveryNameTheKernelAllowsIsListed) {
  const std::set<std::string> names = {"plain", "new\nline", "\xff\xfe invalid", std::string(255, 'z'), "...", " "};
  for (const std::string& name : names) WriteFile(dir_ / name, "");
  DirectoryReader reader(driver_.get(), root_->fd());
  std::set<std::string> listed;
  DirectoryItem item;
  int more = 0;
  while ((more = reader.Next(&item)) > 0) listed.insert(std::string(item.name));
  EXPECT_EQ(more, 0);
  EXPECT_EQ(listed, names);
  EXPECT_EQ(reader.SeekToStart(), 0);
  EXPECT_EQ(reader.Next(&item), 1);
}

TEST_F(DirectoryTest, TheCacheIsBoundedAndForgetsWhatIsRemoved) {
  for (const char* path : {"a/x", "a/y", "b", "ab"}) MakeDirectories(dir_ / path);
  DirectoryCache cache(driver_.get(), root_, nullptr, 3);
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr first, cache.Get(Rel("a/x")));
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr again, cache.Get(Rel("a/x")));
  EXPECT_EQ(first, again);
  ASSERT_OK(cache.Get(Rel("a/y")));
  ASSERT_OK(cache.Get(Rel("ab")));
  ASSERT_OK(cache.Get(Rel("b")));
  EXPECT_EQ(cache.size(), 3u);  // a/x was the oldest
  cache.Invalidate(Rel("a"));
  EXPECT_EQ(cache.size(), 2u);  // a/y is gone, ab is not below a
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr root, cache.Get(RelPath()));
  EXPECT_EQ(root, root_);
}

TEST_F(DirectoryTest, AReplacedDirectoryIsSeenByTheCachesOfOtherShards) {
  MakeDirectories(dir_ / "d");
  std::atomic<uint64_t> epoch{0};
  DirectoryCache mine(driver_.get(), root_, &epoch);
  DirectoryCache other(driver_.get(), root_, &epoch);
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr before, other.Get(Rel("d")));
  ::rmdir((dir_ / "d").c_str());
  MakeDirectories(dir_ / "d");
  mine.InvalidateEverywhere();
  ASSERT_OK_AND_ASSIGN(const DirectoryPtr after, other.Get(Rel("d")));
  EXPECT_NE(before, after);
  EXPECT_EQ(sys::Mkdirat(driver_.get(), after->fd(), "child", 0700), 0);
}

}  // namespace
}  // namespace uringsync
