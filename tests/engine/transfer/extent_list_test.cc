#include "engine/transfer/extent_list.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "engine/base/unique_fd.h"
#include "engine/transfer/range_queue.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

std::vector<std::byte> Words(std::initializer_list<uint64_t> words) {
  std::vector<std::byte> payload(words.size() * sizeof(uint64_t));
  if (words.size() != 0) std::memcpy(payload.data(), words.begin(), payload.size());
  return payload;
}

TEST(ExtentListTest, WhatIsEncodedIsDecoded) {
  ExtentList list{.covered = 900, .extents = {{.offset = 100, .length = 50}, {.offset = 200, .length = 700}}};
  ASSERT_OK_AND_ASSIGN(ExtentList again, DecodeExtents(EncodeExtents(list), 100, 1000));
  EXPECT_EQ(again.covered, 900u);
  ASSERT_EQ(again.extents.size(), 2u);
  EXPECT_EQ(again.extents[1].offset, 200u);
  EXPECT_EQ(again.extents[1].length, 700u);
}

TEST(ExtentListTest, WhatContradictsItselfIsRefused) {
  const uint64_t most = ~uint64_t{0};
  for (const std::vector<std::byte>& bad :
       {Words({}), Words({100, 1}), Words({100}), Words({1001}), Words({900, 99, 5}), Words({900, 100, 0}),
        Words({900, 900, 1}), Words({900, 100, 801}), Words({900, 100, most}), Words({900, most, 2}),
        Words({900, 300, 10, 309, 1}), Words({900, 300, 10, 200, 5})}) {
    EXPECT_FALSE(DecodeExtents(bad, 100, 1000).ok()) << bad.size();
  }
  EXPECT_FALSE(DecodeExtents(std::vector<std::byte>(kMaxExtentListBytes + 16), 0, 1000).ok());
}

class ListExtentsTest : public testing::Test {
 protected:
  ListExtentsTest() : fd_(::open((dir_ / "f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {}
  void Data(uint64_t offset, size_t length) {
    const std::string bytes(length, 'x');
    ASSERT_EQ(::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(length));
  }
  absl::StatusOr<ExtentList> List(uint64_t begin, uint64_t end) {
    struct Ask {
      static Task<absl::StatusOr<ExtentList>> Run(Driver* driver, int fd, uint64_t begin, uint64_t end, uint64_t size) {
        co_return ListExtents(driver, fd, begin, end, size, true);
      }
    };
    return RunOn(runtime_->shard(0), Ask::Run(runtime_->shard(0).driver(), fd_.get(), begin, end, size_));
  }
  TempDir dir_;
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime();
  UniqueFd fd_;
  const uint64_t size_ = uint64_t{1} << 40;
};

TEST_F(ListExtentsTest, DataOfAHugeHoleIsTold) {
  ASSERT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(size_)), 0);
  Data(0, 4096);
  Data(size_ / 2, 65536);
  Data(size_ / 2 + kMiB / 2, 4096);  // less than a told hole away
  ASSERT_OK_AND_ASSIGN(ExtentList list, List(0, size_));
  if (list.extents.size() == 1) GTEST_SKIP() << "the file system tells no holes";
  EXPECT_EQ(list.covered, size_);
  ASSERT_EQ(list.extents.size(), 2u);
  EXPECT_EQ(list.extents[0].offset, 0u);
  EXPECT_EQ(list.extents[1].offset, size_ / 2);
  EXPECT_GE(list.extents[1].length, kMiB / 2 + 4096);
  ASSERT_OK(DecodeExtents(EncodeExtents(list), 0, size_));
}

TEST_F(ListExtentsTest, AFileOfHolesAndDataIsToldInPart) {
  ASSERT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(size_)), 0);
  for (uint64_t i = 0; i < kMaxExtents + 10; ++i) Data(i * 4 * kMiB, 1);
  ASSERT_OK_AND_ASSIGN(ExtentList list, List(0, size_));
  if (list.extents.size() == 1) GTEST_SKIP() << "the file system tells no holes";
  EXPECT_LT(list.covered, (kMaxExtents + 1) * 4 * kMiB);
  EXPECT_LE(list.extents.size(), kMaxExtents);
  ASSERT_OK_AND_ASSIGN(ExtentList rest, List(list.covered, size_));
  EXPECT_EQ(rest.covered, size_);
  EXPECT_GE(rest.extents.size() + list.extents.size(), kMaxExtents + 10);
}

TEST(RangeQueueTest, RangesCoverWhatIsNoHole) {
  RangeQueue queue(100, 10);
  EXPECT_EQ(queue.Take()->offset, 0u);
  // The hole from 5 on was begun already: its rest is skipped.
  EXPECT_EQ(queue.AddHoles({.covered = 50, .extents = {{.offset = 0, .length = 5}, {.offset = 32, .length = 3}}}, 0),
            27u + 15u);
  FileRange range = *queue.Take();
  EXPECT_EQ(range.offset, 32u);
  EXPECT_EQ(range.length, 3u);
  range = *queue.Take();
  EXPECT_EQ(range.offset, 50u);
  EXPECT_EQ(range.length, 10u);
  EXPECT_EQ(queue.AddHoles({.covered = 100, .extents = {{.offset = 55, .length = 10}}}, 50), 5u + 35u);
  range = *queue.Take();
  EXPECT_EQ(range.offset, 60u);
  EXPECT_EQ(range.length, 5u);
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.Take().has_value());
  EXPECT_EQ(queue.skipped_bytes(), 22u + 15u + 35u);
}

TEST(RangeQueueTest, AClosedQueueIsEmpty) {
  RangeQueue queue(100, 10);
  queue.Close();
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.Take().has_value());
}

}  // namespace
}  // namespace uringsync
