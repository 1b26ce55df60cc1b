// Inline calls, counters and pool buffers on both drivers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/coro/scope.h"
#include "tests/engine/ring/driver_conformance.h"

namespace uringsync {
namespace {

class DriverCallTest : public DriverConformanceTest {};
US_INSTANTIATE_FOR_DRIVERS(DriverCallTest);

Task<long> Call(CallCode code, long a0, long a1, long a2, long a3) {
  const long result = Shard::Current()->driver()->Call(code, a0, a1, a2, a3);
  co_return result;
}

TEST_P(DriverCallTest, CallsReturnResultsOrNegativeErrnoAndAreCounted) {
  const std::string path = dir_ / "d";
  EXPECT_EQ(RunOn(shard(), Call(CallCode::kMkdirat, AT_FDCWD, reinterpret_cast<long>(path.c_str()), 0700, 0)), 0);
  EXPECT_EQ(RunOn(shard(), Call(CallCode::kMkdirat, AT_FDCWD, reinterpret_cast<long>(path.c_str()), 0700, 0)), -EEXIST);
  EXPECT_EQ(RunOn(shard(), Call(CallCode::kChmod, reinterpret_cast<long>(path.c_str()), 0500, 0, 0)), 0);
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0500U);
  EXPECT_EQ(RunOn(shard(), Call(CallCode::kChown, reinterpret_cast<long>(path.c_str()), -1, -1, 0)), 0);
  const DriverCounters counters = runtime_->Counters();
  EXPECT_EQ(counters.calls[Index(CallCode::kMkdirat)], 2U);
  EXPECT_EQ(counters.calls[Index(CallCode::kChmod)], 1U);
}

TEST_P(DriverCallTest, CallsNewerThanTheLevelAreAbsent) {
  const long result = RunOn(shard(), Call(CallCode::kListxattrat, -1, 0, 0, 0));
  if (GetParam().level == KernelLevel::kNative) {
    EXPECT_LT(result, 0);
  } else {
    EXPECT_EQ(result, -ENOSYS);
  }
}

// Counters.

TEST_P(DriverCallTest, FileDataAndSocketTrafficCountAsSubmittedOperations) {
  UniqueFd fd = Open("f", O_RDWR | O_CREAT);
  SocketPair pair = MakeSocketPair();
  char byte = 'x';
  ASSERT_EQ(Run(WriteOp(fd.get(), &byte, 1, 0)), 1);
  ASSERT_EQ(Run(ReadOp(fd.get(), &byte, 1, 0)), 1);
  ASSERT_EQ(Run({.code = OpCode::kFsync, .fd = fd.get()}), 0);
  ASSERT_EQ(Run(SendOp(pair.a.get(), &byte, 1)), 1);
  ASSERT_EQ(Run(RecvOp(pair.b.get(), &byte, 1)), 1);
  const DriverCounters counters = runtime_->Counters();
  for (OpCode code : {OpCode::kWrite, OpCode::kRead, OpCode::kFsync, OpCode::kSend, OpCode::kRecv})
    EXPECT_EQ(counters.submitted[Index(code)], 1U) << OpCodeName(code);
  for (uint64_t calls : counters.calls) EXPECT_EQ(calls, 0U);
  // fsync never completes within the submission; every file operation is either inline or handed off.
  EXPECT_EQ(counters.handed_off[Index(OpCode::kFsync)], 1U);
  for (OpCode code : {OpCode::kWrite, OpCode::kRead})
    EXPECT_EQ(counters.ring_inline[Index(code)] + counters.handed_off[Index(code)], 1U) << OpCodeName(code);
  EXPECT_GT(counters.enters, 0U);
}

TEST_P(DriverCallTest, ThreadsHandNothingOverWhereFilesAreMemory) {
  if (GetParam().backend != IoBackend::kThreads) GTEST_SKIP() << "about the thread driver";
  struct statfs stat{};
  if (::statfs("/dev/shm", &stat) != 0 || stat.f_type != TMPFS_MAGIC) GTEST_SKIP() << "/dev/shm is no tmpfs";
  const TempDir memory("/dev/shm");
  const UniqueFd fd(::open((memory / "f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(fd.valid());
  std::vector<char> sent(256 << 10, 'x');
  std::vector<char> back(sent.size());
  const auto length = static_cast<uint32_t>(sent.size());
  ASSERT_EQ(Run(WriteOp(fd.get(), sent.data(), length, 0)), length);
  ASSERT_EQ(Run(ReadOp(fd.get(), back.data(), length, 0)), length);
  EXPECT_EQ(back, sent);
  const DriverCounters counters = runtime_->Counters();
  for (OpCode code : {OpCode::kWrite, OpCode::kRead}) {
    EXPECT_EQ(counters.handed_off[Index(code)], 0U) << OpCodeName(code);
    EXPECT_EQ(counters.ring_inline[Index(code)], 1U) << OpCodeName(code);
  }
}

// Buffers.

TEST_P(DriverCallTest, PoolBuffersCarryDataRegisteredOrNot) {
  WriteFile(dir_ / "f", "pooled");
  UniqueFd fd = Open("f", O_RDWR);
  struct Test {
    static Task<void> Body(int fd, bool ask) {
      BufferPool pool(Shard::Current()->driver(), {.buffer_bytes = 65536, .count = 2, .try_register = ask});
      Buffer buffer = co_await pool.Get();
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 4096, 0U);
      EXPECT_EQ(buffer.registered_index() >= 0, pool.registered());
      Op read = ReadOp(fd, buffer.data(), buffer.size(), 0);
      read.registered_buffer = buffer.registered_index();
      const int64_t n = co_await Do(read);
      EXPECT_EQ(std::string(reinterpret_cast<char*>(buffer.data()), static_cast<size_t>(n)), "pooled");
      Op write = WriteOp(fd, buffer.data(), 6, 0);
      write.registered_buffer = buffer.registered_index();
      const int64_t written = co_await Do(write);
      EXPECT_EQ(written, 6);
    }
  };
  RunOn(shard(), Test::Body(fd.get(), true));
  RunOn(shard(), Test::Body(fd.get(), false));
}

TEST_P(DriverCallTest, PoolGivesBuffersInTheOrderOfAsking) {
  struct Test {
    static Task<void> Take(BufferPool* pool, int id, std::vector<int>* order) {
      Buffer buffer = co_await pool->Get();
      order->push_back(id);
      co_await Yield{};
    }
    static Task<void> Body(std::vector<int>* order) {
      BufferPool pool(Shard::Current()->driver(), {.buffer_bytes = 4096, .count = 2, .try_register = false});
      Scope scope;
      for (int i = 0; i < 10; ++i) scope.Spawn(Take(&pool, i, order));
      co_await scope.Join();
    }
  };
  std::vector<int> order;
  RunOn(shard(), Test::Body(&order));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

}  // namespace
}  // namespace uringsync
