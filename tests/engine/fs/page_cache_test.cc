#include "engine/fs/page_cache.h"

#include <sys/vfs.h>

#include <string>

#include "engine/fs/file.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/fault_driver.h"

namespace uringsync {
namespace {

constexpr uint64_t kMib = uint64_t{1} << 20;

class PageCacheTest : public testing::TestWithParam<KernelLevel> {
 protected:
  void SetUp() override {
    struct statfs stat;
    ASSERT_EQ(::statfs(dir_.path().c_str(), &stat), 0);
    if (stat.f_type == 0x01021994) GTEST_SKIP() << "the temporary directory lives in memory: nothing leaves its cache";
    WriteFile(dir_ / "f", std::string(8 * kMib, 'x'));
    fd_.Reset(::open((dir_ / "f").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::fsync(fd_.get()), 0);
    ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_RANDOM);
    AdviseDontNeed(driver_.get(), fd_.get(), 0, 0);
    if (CachedPages(driver_.get(), fd_.get(), 0, 8 * kMib) != 0u) GTEST_SKIP() << "this file system keeps its cache";
  }
  void ReadAt(uint64_t offset, size_t bytes) {
    std::string into(bytes, '\0');
    ASSERT_EQ(::pread(fd_.get(), into.data(), bytes, static_cast<off_t>(offset)), static_cast<ssize_t>(bytes));
  }
  CachedRanges Look() { return CachedRanges(driver_.get(), fd_.get(), 8 * kMib); }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver(GetParam());
  UniqueFd fd_;
};

TEST_P(PageCacheTest, AFileThatNobodyReadHasNothingCached) {
  EXPECT_TRUE(Look().none());
  EXPECT_FALSE(Look().Overlaps(0, 8 * kMib));
}

TEST_P(PageCacheTest, WhatWasReadIsFoundWhereItLies) {
  ReadAt(5 * kMib, 64 << 10);
  const CachedRanges cached = Look();
  EXPECT_TRUE(cached.Overlaps(5 * kMib, 1));
  EXPECT_TRUE(cached.Overlaps(0, 8 * kMib));
  EXPECT_TRUE(cached.Overlaps(4 * kMib, 4 * kMib));
  EXPECT_FALSE(cached.Overlaps(0, 4 * kMib));
  EXPECT_FALSE(cached.Overlaps(7 * kMib, kMib));
}

TEST_P(PageCacheTest, AWholeCachedFileIsOneRange) {
  ReadAt(0, 8 * kMib);
  const CachedRanges cached = Look();
  for (uint64_t at = 0; at < 8 * kMib; at += kMib) EXPECT_TRUE(cached.Overlaps(at, kMib)) << at;
  EXPECT_FALSE(cached.Overlaps(8 * kMib, kMib));
}

TEST_P(PageCacheTest, WhatCannotBeLookedAtCountsAsCached) {
  auto plan = std::make_shared<FaultPlan>();
  driver_ = plan->Wrap(MakeTestDriver(GetParam()));
  plan->FailFrom(CallCode::kCachestat, 1, EPERM);
  EXPECT_TRUE(Look().Overlaps(3 * kMib, 1));
  plan->Clear();
  plan->FailFrom(CallCode::kCachestat, 1, ENOSYS);
  EXPECT_TRUE(Look().none());
  plan->FailFrom(CallCode::kMincore, 1, EAGAIN);
  EXPECT_TRUE(Look().Overlaps(3 * kMib, 1));
  plan->Clear();
}

TEST_P(PageCacheTest, ASecondReaderSeesWhatTheFirstFound) {
  PageCacheMemory memory;
  const FileId id{1, 2};
  std::shared_ptr<const CachedRanges> first = memory.Remember(driver_.get(), fd_.get(), id, 8 * kMib);
  ASSERT_NE(first, nullptr);
  ReadAt(0, 8 * kMib);
  EXPECT_EQ(memory.Remember(driver_.get(), fd_.get(), id, 8 * kMib), first);
  EXPECT_TRUE(first->none());
  first.reset();
  std::shared_ptr<const CachedRanges> later = memory.Remember(driver_.get(), fd_.get(), id, 8 * kMib);
  ASSERT_NE(later, nullptr);
  EXPECT_FALSE(later->none());
}

INSTANTIATE_TEST_SUITE_P(Levels, PageCacheTest, testing::Values(KernelLevel::kNative, KernelLevel::k5_15),
                         [](const auto& level) {
                           return level.param == KernelLevel::kNative ? "Native" : "Linux5_15";
                         });

TEST(PageCacheMemoryTest, NothingIsRememberedOfFilesInMemory) {
  if (::access("/dev/shm", W_OK) != 0) GTEST_SKIP() << "no /dev/shm";
  TempDir dir("/dev/shm");
  WriteFile(dir / "f", "x");
  UniqueFd fd(::open((dir / "f").c_str(), O_RDONLY | O_CLOEXEC));
  std::unique_ptr<Driver> driver = MakeTestDriver();
  PageCacheMemory memory;
  EXPECT_EQ(memory.Remember(driver.get(), fd.get(), {1, 2}, 1), nullptr);
}

}  // namespace
}  // namespace uringsync
