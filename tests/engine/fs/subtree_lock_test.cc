#include "engine/fs/subtree_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/run_on.h"

namespace uringsync {
namespace {

class SubtreeLockTest : public testing::Test {
 protected:
  Task<absl::StatusOr<SubtreeLock>> Lock(std::string path, SubtreeLockOptions options) {
    Driver* driver = Shard::Current()->driver();
    const DirectoryPtr root = MustOpenRoot(driver, path);
    absl::StatusOr<SubtreeLock> lock = co_await SubtreeLock::Acquire(driver, root, options);
    co_return lock;
  }
  absl::StatusOr<SubtreeLock> Try(const std::string& path, SubtreeLockOptions options = {}) {
    return RunOn(runtime_->shard(0), Lock(path, std::move(options)));
  }

  void SetUp() override {
    for (const char* path : {"a/b", "a/c", "other"}) MakeDirectories(dir_ / path);
  }
  TempDir dir_;
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime(1, IoBackend::kThreads);
};

TEST_F(SubtreeLockTest, TheSameDirectoryAndThoseAboveAndBelowExcludeEachOther) {
  ASSERT_OK_AND_ASSIGN(const SubtreeLock held, Try(dir_ / "a"));
  EXPECT_TRUE(held.held());
  for (const char* path : {"a", "a/b", ""}) {
    const absl::StatusOr<SubtreeLock> refused = Try(dir_ / path);
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition, testing::HasSubstr("in use"))) << path;
    EXPECT_EQ(StatusErrno(refused.status()), EWOULDBLOCK);
  }
  EXPECT_OK(Try(dir_ / "other"));
}

TEST_F(SubtreeLockTest, SiblingsDoNotExcludeEachOther) {
  ASSERT_OK_AND_ASSIGN(const SubtreeLock b, Try(dir_ / "a/b"));
  ASSERT_OK_AND_ASSIGN(const SubtreeLock c, Try(dir_ / "a/c"));
  EXPECT_FALSE(Try(dir_ / "a").ok());
}

TEST_F(SubtreeLockTest, TheHolderIsNamed) {
  ASSERT_OK_AND_ASSIGN(const SubtreeLock held, Try(dir_ / "a"));
  const absl::StatusOr<SubtreeLock> refused = Try(dir_ / "a");
  ASSERT_FALSE(refused.ok());
  const std::string message(refused.status().message());
  if (message.find("process") == std::string::npos)
    GTEST_SKIP() << "/proc/locks does not show this file system: " << message;
  EXPECT_THAT(message, testing::HasSubstr(std::to_string(::getpid())));
}

TEST_F(SubtreeLockTest, ALockThatWasDroppedIsFree) {
  {
    ASSERT_OK_AND_ASSIGN(const SubtreeLock held, Try(dir_ / "a"));
  }
  EXPECT_OK(Try(dir_ / "a"));
}

// Frees the lock at its second call, instead of sleeping.
struct FreeOnSecondSleep {
  SubtreeLock* held;
  int* sleeps;
};
Task<void> SleepAndFree(FreeOnSecondSleep state) {
  if (++*state.sleeps == 2) *state.held = SubtreeLock();
  co_return;
}

TEST_F(SubtreeLockTest, WaitingEndsWhenTheHolderIsGone) {
  ASSERT_OK_AND_ASSIGN(SubtreeLock held, Try(dir_ / "a"));
  int sleeps = 0;
  SubtreeLockOptions options;
  options.wait = true;
  const FreeOnSecondSleep state{&held, &sleeps};
  options.sleep = [state](std::chrono::nanoseconds) { return SleepAndFree(state); };
  std::vector<std::string> told;
  options.on_wait = [&told](const absl::Status& refusal) { told.emplace_back(refusal.message()); };
  EXPECT_OK(Try(dir_ / "a", options));
  EXPECT_EQ(sleeps, 2);
  // Once, however often it was tried, and by whom it is held as far as the kernel tells.
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], testing::HasSubstr("in use by another session"));
  if (told[0].find("process") == std::string::npos) GTEST_SKIP() << "no locks in /proc here";
  EXPECT_THAT(told[0], testing::AllOf(testing::HasSubstr("process " + std::to_string(::getpid()) + ", "),
                                      testing::HasSubstr(", on "),
                                      testing::ContainsRegex(", started 20..-..-.. ..:..:.. UTC\\)")));
}

TEST_F(SubtreeLockTest, WhoDoesNotWaitIsToldOfNoWait) {
  ASSERT_OK_AND_ASSIGN(const SubtreeLock held, Try(dir_ / "a"));
  SubtreeLockOptions options;
  options.on_wait = [](const absl::Status&) { FAIL(); };
  EXPECT_FALSE(Try(dir_ / "a", options).ok());
  EXPECT_OK(Try(dir_ / "other", options));
}

Task<void> CancelInsteadOfSleeping(CancelSource* source) {
  source->Cancel(absl::CancelledError("enough"));
  co_return;
}

TEST_F(SubtreeLockTest, WaitingEndsWhenItIsCancelled) {
  ASSERT_OK_AND_ASSIGN(const SubtreeLock held, Try(dir_ / "a"));
  CancelSource source;
  SubtreeLockOptions options;
  options.wait = true;
  options.cancel = source.token();
  options.sleep = [&source](std::chrono::nanoseconds) { return CancelInsteadOfSleeping(&source); };
  EXPECT_THAT(Try(dir_ / "a", options), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(SubtreeLockTest, PinnedAncestorsAreSharedWhereTheyCannotBeOpened) {
  PinnedAncestors ancestors({dir_ / "a/b"});
  struct statx above{};
  ASSERT_EQ(::statx(AT_FDCWD, (dir_ / "a").c_str(), 0, STATX_INO, &above), 0);
  int descriptor = -1;
  {
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<void> one, ancestors.Share(above, &descriptor));
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<void> two, ancestors.Share(above, &descriptor));
    EXPECT_FALSE(Try(dir_ / "a").ok());
  }
  ASSERT_OK_AND_ASSIGN(const SubtreeLock held, Try(dir_ / "a"));
  EXPECT_EQ(StatusErrno(ancestors.Share(above, &descriptor).status()), EWOULDBLOCK);
  ASSERT_EQ(::statx(AT_FDCWD, (dir_ / "other").c_str(), 0, STATX_INO, &above), 0);
  EXPECT_THAT(ancestors.Share(above, &descriptor), StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace uringsync
