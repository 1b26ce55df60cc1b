#include "engine/fs/direct_io.h"

#include <fcntl.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/fs/page_cache.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/fault_driver.h"
#include "tests/support/run_on.h"

namespace uringsync {
namespace {

constexpr size_t kMib = size_t{1} << 20;

struct AlignedDelete {
  void operator()(char* memory) const { ::operator delete[](memory, std::align_val_t{kDirectAlignment}); }
};
using AlignedMemory = std::unique_ptr<char[], AlignedDelete>;
AlignedMemory Aligned(size_t bytes) {
  return AlignedMemory(new (std::align_val_t{kDirectAlignment}) char[bytes]);
}

// Bytes that tell where they belong.
AlignedMemory Numbered(size_t bytes) {
  AlignedMemory memory = Aligned(bytes);
  for (size_t i = 0; i < bytes; ++i) memory[i] = static_cast<char>(i * 7 + i / 4096);
  return memory;
}

class DirectIoTest : public testing::TestWithParam<IoBackend> {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam();
    options.wrap_driver = plan_->Wrapper();
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
    ASSERT_OK(runtime.status());
    runtime_ = *std::move(runtime);
    cached_.Reset(::open((dir_ / "f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    direct_.Reset(::open((dir_ / "f").c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    if (!direct_.valid()) GTEST_SKIP() << "the file system of the temporary directory does no direct I/O";
  }
  DataFile file() const { return {cached_.get(), direct_.get()}; }
  bool OnTmpfs() const {
    struct statfs system;
    return ::statfs(dir_.path().c_str(), &system) == 0 && system.f_type == 0x01021994;
  }
  static constexpr char kOwnCache[] = "a file system in memory is its own cache";

  static Task<absl::StatusOr<size_t>> ReadTask(DataFile from, void* to, size_t length, uint64_t offset) {
    co_return co_await ReadData(Shard::Current()->driver(), from, to, length, offset);
  }
  static Task<absl::Status> WriteTask(DataFile to, const void* from, size_t length, uint64_t offset) {
    co_return co_await WriteData(Shard::Current()->driver(), to, from, length, offset);
  }
  absl::StatusOr<size_t> Read(void* to, size_t length, uint64_t offset) {
    return RunOn(runtime_->shard(0), ReadTask(file(), to, length, offset));
  }
  absl::Status Write(const void* from, size_t length, uint64_t offset) {
    return RunOn(runtime_->shard(0), WriteTask(file(), from, length, offset));
  }
  void ExpectHolds(const char* bytes, size_t length) {
    const std::string content = ReadFile(dir_ / "f");
    ASSERT_EQ(content.size(), length);
    EXPECT_EQ(std::memcmp(content.data(), bytes, length), 0);
  }
  UniqueFd Open(DirectIo* direct) { return RunOn(runtime_->shard(0), OpenTask(direct, cached_.get())); }
  static Task<UniqueFd> OpenTask(DirectIo* direct, int fd) {
    co_return direct->Open(Shard::Current()->driver(), fd, O_RDWR);
  }
  // Reads and writes that went past the cache, and those that did not.
  void CountTransfers() {
    plan_->FilterOps([this, direct = direct_.get()](const Op& op) {
      if (op.code == OpCode::kRead || op.code == OpCode::kWrite) ++(op.fd == direct ? past_ : through_);
      return 0;
    });
  }

  TempDir dir_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Runtime> runtime_;
  UniqueFd cached_;
  UniqueFd direct_;
  int past_ = 0;
  int through_ = 0;
};

TEST_P(DirectIoTest, WhatIsWrittenPastTheCacheIsReadBackWithItsOddEnd) {
  const size_t length = kMib + 123;
  const AlignedMemory bytes = Numbered(length);
  CountTransfers();
  ASSERT_OK(Write(bytes.get(), length, 0));
  EXPECT_EQ(past_, 1);
  ExpectHolds(bytes.get(), length);
  const AlignedMemory back = Aligned(length + 4096);
  EXPECT_THAT(Read(back.get(), length + 4096, 0), IsOkAndHolds(length));  // less than asked: the end of the file
  EXPECT_EQ(std::memcmp(back.get(), bytes.get(), length), 0);
}

TEST_P(DirectIoTest, OnlyTheOddEndGoesThroughTheCache) {
  if (OnTmpfs()) GTEST_SKIP() << kOwnCache;
  const size_t length = 2 * kMib + 123;
  const AlignedMemory bytes = Numbered(length);
  ASSERT_OK(Write(bytes.get(), length, 0));
  const std::unique_ptr<Driver> driver = MakeTestDriver();
  EXPECT_LE(CachedPages(driver.get(), cached_.get(), 0, length).value_or(0), 2u);
}

TEST_P(DirectIoTest, WhatDoesNotLieAlikeGoesThroughTheCache) {
  const AlignedMemory bytes = Numbered(2 * kMib);
  ASSERT_OK(Write(bytes.get(), 2 * kMib, 0));
  CountTransfers();
  const AlignedMemory back = Aligned(2 * kMib);
  EXPECT_THAT(Read(back.get(), kMib, 5), IsOkAndHolds(kMib));
  EXPECT_EQ(std::memcmp(back.get(), bytes.get() + 5, kMib), 0);
  EXPECT_THAT(Read(back.get() + 1, kMib, 4096), IsOkAndHolds(kMib));
  EXPECT_EQ(std::memcmp(back.get() + 1, bytes.get() + 4096, kMib), 0);
  ASSERT_OK(Write(bytes.get() + 512, 128 << 10, 512));
  ExpectHolds(bytes.get(), 2 * kMib);
  EXPECT_EQ(past_, 0);
  EXPECT_GE(through_, 3);
}

TEST_P(DirectIoTest, ARefusalAtAnyMomentIsNoError) {
  const AlignedMemory bytes = Numbered(kMib);
  for (const int error : {EINVAL, EOPNOTSUPP}) {
    plan_->FilterOps([error, direct = direct_.get()](const Op& op) { return op.fd == direct ? error : 0; });
    ASSERT_OK(Write(bytes.get(), kMib, 0));
    ExpectHolds(bytes.get(), kMib);
    const AlignedMemory back = Aligned(kMib);
    EXPECT_THAT(Read(back.get(), kMib, 0), IsOkAndHolds(kMib));
    EXPECT_EQ(std::memcmp(back.get(), bytes.get(), kMib), 0);
    plan_->Clear();
  }
}

TEST_P(DirectIoTest, AnErrorOfTheDeviceIsTold) {
  const AlignedMemory bytes = Numbered(kMib);
  plan_->Fail(OpCode::kWrite, 1, EIO);
  EXPECT_EQ(StatusErrno(Write(bytes.get(), kMib, 0)), EIO);
  ASSERT_OK(Write(bytes.get(), kMib, 0));
  plan_->Fail(OpCode::kRead, 1, EIO);
  const AlignedMemory back = Aligned(kMib);
  EXPECT_EQ(StatusErrno(Read(back.get(), kMib, 0).status()), EIO);
}

TEST_P(DirectIoTest, ShortTransfersGoOnWhereTheyStopped) {
  const AlignedMemory bytes = Numbered(kMib);
  for (const uint32_t most : {8192u, 5000u}) {
    ::ftruncate(cached_.get(), 0);
    plan_->Shorten(OpCode::kWrite, 1, most);
    ASSERT_OK(Write(bytes.get(), kMib, 0));
    ExpectHolds(bytes.get(), kMib);
    plan_->Shorten(OpCode::kRead, 1, most);
    const AlignedMemory back = Aligned(kMib);
    EXPECT_THAT(Read(back.get(), kMib, 0), IsOkAndHolds(kMib));
    EXPECT_EQ(std::memcmp(back.get(), bytes.get(), kMib), 0);
    plan_->Clear();
  }
}

TEST_P(DirectIoTest, AFileOfKnownSizeIsLaidOutBeforeItIsWritten) {
  const auto prepare = [](DataFile file, bool dense) -> Task<absl::Status> {
    co_return co_await PrepareDirectWrites(Shard::Current()->driver(), file, 4 * kMib, dense);
  };
  ASSERT_OK(RunOn(runtime_->shard(0), prepare(file(), false)));
  EXPECT_EQ(LStat(dir_ / "f").st_size, static_cast<off_t>(4 * kMib));
  EXPECT_LT(LStat(dir_ / "f").st_blocks, 64);
  ASSERT_OK(RunOn(runtime_->shard(0), prepare(file(), true)));
  EXPECT_EQ(LStat(dir_ / "f").st_size, static_cast<off_t>(4 * kMib));
  plan_->Fail(OpCode::kFallocate, 1, ENOSPC);
  EXPECT_THAT(RunOn(runtime_->shard(0), prepare(file(), true)), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_P(DirectIoTest, TheModeDecidesWhetherAFileIsOpenedASecondTime) {
  if (OnTmpfs()) GTEST_SKIP() << kOwnCache;
  DirectIo off(DirectIoMode::kOff);
  EXPECT_FALSE(Open(&off).valid());
  DirectIo on(DirectIoMode::kOn);
  const UniqueFd opened = Open(&on);
  ASSERT_TRUE(opened.valid());
  const int flags = ::fcntl(opened.get(), F_GETFL);
  EXPECT_NE(flags & O_DIRECT, 0);
  EXPECT_EQ(flags & O_NONBLOCK, 0);
}

TEST_P(DirectIoTest, TheSameFileIsOpenedWhateverItsNameIs) {
  if (OnTmpfs()) GTEST_SKIP() << kOwnCache;
  DirectIo on(DirectIoMode::kOn);
  for (const bool unlink : {false, true}) {
    if (unlink) ASSERT_EQ(::unlink((dir_ / "f").c_str()), 0);
    if (!unlink) ASSERT_EQ(::rename((dir_ / "f").c_str(), (dir_ / "g").c_str()), 0);
    if (!unlink) WriteFile(dir_ / "f", "another one");
    const UniqueFd opened = Open(&on);
    ASSERT_TRUE(opened.valid());
    struct stat first{};
    struct stat second{};
    ASSERT_EQ(::fstat(opened.get(), &first) + ::fstat(cached_.get(), &second), 0);
    EXPECT_EQ(first.st_ino, second.st_ino);
  }
}

TEST_P(DirectIoTest, ARefusalIsToldOnceAndOnlyWhereDirectWasAskedFor) {
  for (const DirectIoMode mode : {DirectIoMode::kOn, DirectIoMode::kAuto}) {
    std::vector<std::string> told;
    DirectIo direct(mode, [&told](std::string text) { told.push_back(std::move(text)); });
    plan_->FailFrom(CallCode::kOpenat, 1, EINVAL);
    EXPECT_FALSE(Open(&direct).valid());
    EXPECT_FALSE(Open(&direct).valid());
    plan_->Clear();
    ASSERT_EQ(told.size(), mode == DirectIoMode::kOn ? 1u : 0u);
    if (!told.empty()) EXPECT_THAT(told[0], testing::HasSubstr("page cache"));
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, DirectIoTest, testing::Values(IoBackend::kAuto, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kAuto ? "Auto" : "Threads"; });

}  // namespace
}  // namespace uringsync
