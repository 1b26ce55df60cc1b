// Files on both drivers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/coro/scope.h"
#include "tests/engine/ring/driver_conformance.h"

namespace uringsync {
namespace {

class DriverFileTest : public DriverConformanceTest {};
US_INSTANTIATE_FOR_DRIVERS(DriverFileTest);

TEST_P(DriverFileTest, ReadReturnsBytesFromTheOffset) {
  WriteFile(dir_ / "f", "hello world");
  UniqueFd fd = Open("f", O_RDONLY);
  char buffer[16] = {};
  EXPECT_EQ(Run(ReadOp(fd.get(), buffer, 5, 6)), 5);
  EXPECT_STREQ(buffer, "world");
}

TEST_P(DriverFileTest, ReadPastEndReturnsShortCountAndThenZero) {
  WriteFile(dir_ / "f", "abc");
  UniqueFd fd = Open("f", O_RDONLY);
  char buffer[16] = {};
  EXPECT_EQ(Run(ReadOp(fd.get(), buffer, 16, 1)), 2);
  EXPECT_EQ(Run(ReadOp(fd.get(), buffer, 16, 3)), 0);
  EXPECT_EQ(Run(ReadOp(fd.get(), buffer, 16, 1000)), 0);
}

TEST_P(DriverFileTest, NonBlockingFileIsReadLikeAnyOther) {
  WriteFile(dir_ / "f", std::string(300000, 'x'));
  UniqueFd fd = Open("f", O_RDONLY | O_NONBLOCK);
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  std::string buffer(300000, '\0');
  size_t have = 0;
  while (have < buffer.size()) {
    const int64_t n = Run(ReadOp(fd.get(), buffer.data() + have, buffer.size() - have, have));
    ASSERT_GT(n, 0);
    have += static_cast<size_t>(n);
  }
  EXPECT_EQ(buffer, std::string(300000, 'x'));
}

TEST_P(DriverFileTest, WriteLandsAtTheOffsetAndLeavesAHoleBefore) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  EXPECT_EQ(Run(WriteOp(fd.get(), "xyz", 3, 4096)), 3);
  EXPECT_EQ(ReadFile(dir_ / "f"), std::string(4096, '\0') + "xyz");
}

TEST_P(DriverFileTest, LargeTransfersGoThroughWhole) {
  std::string data(3 << 20, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 + i / 4099);
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  size_t done = 0;
  while (done < data.size()) {
    const int64_t n = Run(WriteOp(fd.get(), data.data() + done, data.size() - done, done));
    ASSERT_GT(n, 0);
    done += static_cast<size_t>(n);
  }
  std::string back(data.size(), '\0');
  for (done = 0; done < back.size();) {
    const int64_t n = Run(ReadOp(fd.get(), back.data() + done, back.size() - done, done));
    ASSERT_GT(n, 0);
    done += static_cast<size_t>(n);
  }
  EXPECT_TRUE(back == data);
}

TEST_P(DriverFileTest, ErrorsComeBackAsNegativeErrno) {
  char byte = 0;
  EXPECT_EQ(Run(ReadOp(-1, &byte, 1, 0)), -EBADF);
  UniqueFd directory = Open(".", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(Run(ReadOp(directory.get(), &byte, 1, 0)), -EISDIR);
  WriteFile(dir_ / "f", "x");
  UniqueFd readonly = Open("f", O_RDONLY);
  EXPECT_EQ(Run(WriteOp(readonly.get(), "y", 1, 0)), -EBADF);
  EXPECT_EQ(Run(RecvOp(readonly.get(), &byte, 1)), -ENOTSOCK);
}

TEST_P(DriverFileTest, FsyncOfDataAndOfEverythingSucceeds) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  EXPECT_EQ(Run(WriteOp(fd.get(), "x", 1, 0)), 1);
  EXPECT_EQ(Run({.code = OpCode::kFsync, .fd = fd.get()}), 0);
  EXPECT_EQ(Run({.code = OpCode::kFsync, .fd = fd.get(), .flags = kFsyncDataOnly}), 0);
  EXPECT_EQ(Run({.code = OpCode::kFsync, .fd = -1}), -EBADF);
}

TEST_P(DriverFileTest, FallocateReservesAndPunches) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  const int64_t result = Run({.code = OpCode::kFallocate, .fd = fd.get(), .offset = 0, .length64 = 65536});
  if (result == -EOPNOTSUPP) GTEST_SKIP() << "the file system of the temporary directory has no fallocate";
  ASSERT_EQ(result, 0);
  struct stat status{};
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_size, 65536);
  EXPECT_EQ(Run({.code = OpCode::kFallocate,
                 .fd = fd.get(),
                 .offset = 0,
                 .length64 = 65536,
                 .flags = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE}),
            0);
  ASSERT_EQ(::fstat(fd.get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 0);
}

TEST_P(DriverFileTest, NopCompletesWithZero) {
  EXPECT_EQ(Run({.code = OpCode::kNop}), 0);
}

}  // namespace
}  // namespace uringsync
