#include "engine/watch/tree_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <set>
#include <string>

#include "engine/base/unique_fd.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

class TreeWatchTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(::mkdir(Path("a").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(Path("b").c_str(), 0755), 0);
    Make("a/file");
    root_ = Open("");
    absl::StatusOr<std::unique_ptr<TreeWatch>> watch = TreeWatch::Start(root_.get(), {.fanotify = GetParam()});
    ASSERT_OK(watch);
    watch_ = *std::move(watch);
    if (GetParam() && watch_->kind() != "fanotify")
      GTEST_SKIP() << "this process or kernel has no fanotify for a file system";
    a_ = Open("a");
    b_ = Open("b");
    ASSERT_OK(watch_->Add(root_.get(), 1));
    ASSERT_OK(watch_->Add(a_.get(), 2));
    ASSERT_OK(watch_->Add(b_.get(), 3));
    EXPECT_EQ(Changed(), std::set<uint32_t>{});
  }
  std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  UniqueFd Open(const std::string& name) const {
    return UniqueFd(::open(Path(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void Make(const std::string& name) const {
    UniqueFd(::open(Path(name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  }
  std::set<uint32_t> Changed() {
    std::vector<uint32_t> ids;
    EXPECT_OK(watch_->Drain(&ids));
    return {ids.begin(), ids.end()};
  }

  TempDir dir_;
  UniqueFd root_, a_, b_;
  std::unique_ptr<TreeWatch> watch_;
};

TEST_P(TreeWatchTest, EveryKindOfChangeNamesItsDirectory) {
  Make("a/new");
  EXPECT_EQ(Changed(), (std::set<uint32_t>{2}));
  ASSERT_EQ(::unlink(Path("a/new").c_str()), 0);
  EXPECT_EQ(Changed(), (std::set<uint32_t>{2}));
  ASSERT_EQ(::chmod(Path("a/file").c_str(), 0600), 0);
  EXPECT_EQ(Changed(), (std::set<uint32_t>{2}));
  ASSERT_EQ(::truncate(Path("a/file").c_str(), 10), 0);
  EXPECT_EQ(Changed(), (std::set<uint32_t>{2}));
  ASSERT_EQ(::symlink("x", Path("b/link").c_str()), 0);
  EXPECT_EQ(Changed(), (std::set<uint32_t>{3}));
  if (::setxattr(Path("a/file").c_str(), "user.x", "1", 1, 0) == 0) {
    EXPECT_EQ(Changed(), (std::set<uint32_t>{2}));
  }
  ASSERT_EQ(::rename(Path("a/file").c_str(), Path("b/file").c_str()), 0);
  EXPECT_EQ(Changed(), (std::set<uint32_t>{2, 3}));
  timespec times[2] = {{5, 0}, {5, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, Path("b/file").c_str(), times, 0), 0);
  EXPECT_EQ(Changed(), (std::set<uint32_t>{3}));
}

TEST_P(TreeWatchTest, AWriteThroughAnOpenDescriptorIsSeenAlsoAfterTheFileWasMoved) {
  const UniqueFd file(::open(Path("a/file").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::rename(Path("a/file").c_str(), Path("b/file").c_str()), 0);
  Changed();
  ASSERT_EQ(::pwrite(file.get(), "x", 1, 0), 1);
  EXPECT_EQ(Changed(), (std::set<uint32_t>{3}));
}

TEST_P(TreeWatchTest, AStoreThroughAMappingIsSeenWhenTheMappingAndTheDescriptorAreGone) {
  ASSERT_EQ(::truncate(Path("a/file").c_str(), 4096), 0);
  UniqueFd file(::open(Path("a/file").c_str(), O_RDWR | O_CLOEXEC));
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  file.Reset();
  Changed();
  *static_cast<volatile char*>(memory) = 'x';
  EXPECT_EQ(Changed(), std::set<uint32_t>{}) << "kernels tell of a store now: docs/consistency.md can promise more";
  ASSERT_EQ(::munmap(memory, 4096), 0);
  EXPECT_EQ(Changed(), (std::set<uint32_t>{2}));
}

TEST_P(TreeWatchTest, ADirectorysOwnMetadataIsAChangeOfItOrOfTheOneAbove) {
  ASSERT_EQ(::chmod(Path("a").c_str(), 0700), 0);
  const std::set<uint32_t> changed = Changed();
  EXPECT_TRUE(changed.contains(1) || changed.contains(2));
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0700), 0);
  EXPECT_TRUE(Changed().contains(1));
}

TEST_P(TreeWatchTest, AMovedDirectoryKeepsBeingWatchedUnderItsNewId) {
  ASSERT_EQ(::rename(Path("a").c_str(), Path("b/a").c_str()), 0);
  Changed();
  const UniqueFd moved = Open("b/a");
  ASSERT_OK(watch_->Add(moved.get(), 7));
  watch_->Remove(2);
  Make("b/a/new");
  EXPECT_EQ(Changed(), (std::set<uint32_t>{7}));
  watch_->Remove(7);
  Make("b/a/newer");
  EXPECT_FALSE(Changed().contains(7));
}

TEST_P(TreeWatchTest, AQueueThatOverflowedIsLostForGood) {
  // More than either kind queues: 16,384 unless configured higher.
  for (int i = 0; i < 40'000; ++i) Make("a/" + std::to_string(i));
  std::vector<uint32_t> ids;
  const absl::Status first = watch_->Drain(&ids);
  if (first.ok()) GTEST_SKIP() << "the queue of this system holds more than 40,000 events";
  EXPECT_EQ(first.code(), absl::StatusCode::kDataLoss) << first.ToString();
  EXPECT_EQ(watch_->Drain(&ids).code(), absl::StatusCode::kDataLoss);
}

INSTANTIATE_TEST_SUITE_P(Kinds, TreeWatchTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Fanotify" : "Inotify"; });

}  // namespace
}  // namespace uringsync
