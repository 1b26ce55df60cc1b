// One suite for every kind of stream on both I/O backends.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/net/stream.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/stream_pair.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Timeout kPatience = seconds(60);

struct Where {
  StreamKind kind;
  IoBackend backend;
};

std::vector<std::byte> RandomBytes(size_t size, uint32_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

class StreamConformanceTest : public testing::TestWithParam<Where> {
 protected:
  static void SetUpTestSuite() { certificates_ = std::make_unique<TestCertificates>(); }
  static void TearDownTestSuite() { certificates_.reset(); }

  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam().backend;
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(options);
    if (!runtime.ok()) GTEST_SKIP() << std::string(runtime.status().message());
    runtime_ = *std::move(runtime);
  }

  template <typename Body>
  void Run(Body body) {
    BlockOn(&runtime_->shard(0), RunBody(body, runtime_->shard(0).driver()));
  }

  static std::unique_ptr<TestCertificates> certificates_;
  std::unique_ptr<Runtime> runtime_;

 private:
  template <typename Body>
  static Task<void> RunBody(Body body, Driver* driver) {
    absl::StatusOr<StreamPair> pair = co_await MakeStreamPair(driver, GetParam().kind, certificates_->context());
    if (!pair.ok()) ADD_FAILURE() << std::string(pair.status().ToString());
    if (!pair.ok()) co_return;
    co_await body(&*pair);
    co_await pair->Finish();
  }
};

std::unique_ptr<TestCertificates> StreamConformanceTest::certificates_;

Task<void> WriteParts(Stream* stream, std::vector<std::vector<std::byte>> parts, absl::Status* out) {
  std::vector<ConstBytes> views(parts.begin(), parts.end());
  *out = co_await stream->WriteAll(views, kPatience);
  if (out->ok()) *out = co_await stream->EndWrites(kPatience);
}

Task<void> ReadToEnd(Stream* stream, size_t step, std::vector<std::byte>* into, absl::Status* out) {
  std::vector<std::byte> buffer(step);
  while (true) {
    absl::StatusOr<size_t> n = co_await stream->Read(buffer, kPatience);
    *out = n.status();
    if (!n.ok() || *n == 0) co_return;
    into->insert(into->end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
  }
}

Task<void> ExchangeBothWays(StreamPair* pair) {
  std::vector<std::vector<std::byte>> forth;
  uint32_t seed = 1;
  for (size_t size : {12, 300, 1 << 20, 0, 1, 16384, 16383, 70000, 5, 3 << 20})
    forth.push_back(RandomBytes(size, seed++));
  const std::vector<std::vector<std::byte>> back = {RandomBytes(2 << 20, 99), RandomBytes(7, 100)};
  std::vector<std::byte> seen_there;
  std::vector<std::byte> seen_here;
  absl::Status results[4];
  Scope scope;
  scope.Spawn(WriteParts(pair->client.get(), forth, &results[0]));
  scope.Spawn(WriteParts(pair->server.get(), back, &results[1]));
  scope.Spawn(ReadToEnd(pair->server.get(), 100'000, &seen_there, &results[2]));
  scope.Spawn(ReadToEnd(pair->client.get(), 1000, &seen_here, &results[3]));
  co_await scope.Join();
  for (const absl::Status& result : results) EXPECT_OK(result);
  std::vector<std::byte> all_forth;
  for (const auto& part : forth) all_forth.insert(all_forth.end(), part.begin(), part.end());
  std::vector<std::byte> all_back;
  for (const auto& part : back) all_back.insert(all_back.end(), part.begin(), part.end());
  EXPECT_TRUE(all_forth == seen_there);
  EXPECT_TRUE(all_back == seen_here);
  EXPECT_GE(pair->client->bytes_written(), all_forth.size());
  EXPECT_GE(pair->client->bytes_read(), all_back.size());
}
TEST_P(StreamConformanceTest, BytesArriveWholeAndInOrderBothWaysAtOnce) {
  Run(ExchangeBothWays);
}

Task<void> EndOneWay(StreamPair* pair) {
  EXPECT_OK(co_await pair->client->EndWrites(kPatience));
  std::byte byte{};
  absl::StatusOr<size_t> end = co_await pair->server->Read({&byte, 1}, kPatience);
  EXPECT_THAT(end, IsOkAndHolds(size_t{0}));
  end = co_await pair->server->Read({&byte, 1}, kPatience);
  EXPECT_THAT(end, IsOkAndHolds(size_t{0}));
  const std::array<std::byte, 3> answer = {std::byte{1}, std::byte{2}, std::byte{3}};
  const std::array<ConstBytes, 1> parts = {ConstBytes(answer)};
  EXPECT_OK(co_await pair->server->WriteAll(parts, kPatience));
  std::array<std::byte, 3> got{};
  EXPECT_OK(co_await ReadExactly(pair->client.get(), got, Deadline(kPatience)));
  EXPECT_EQ(got, answer);
}
TEST_P(StreamConformanceTest, AnEndedWriterCanStillRead) {
  Run(EndOneWay);
}

Task<void> StoreRead(Stream* stream, absl::StatusOr<size_t>* out) {
  std::array<std::byte, 16> buffer{};
  *out = co_await stream->Read(buffer, kNoTimeout);
}

Task<void> ShutdownUnderRead(StreamPair* pair) {
  absl::StatusOr<size_t> read = size_t{1};
  Scope scope;
  scope.Spawn(StoreRead(pair->client.get(), &read));
  co_await Yield{};
  pair->client->Shutdown();
  co_await scope.Join();
  EXPECT_THAT(read, StatusIs(absl::StatusCode::kCancelled));
  std::byte byte{};
  const std::array<ConstBytes, 1> parts = {ConstBytes(&byte, 1)};
  const absl::Status written = co_await pair->client->WriteAll(parts, kPatience);
  EXPECT_THAT(written, StatusIs(absl::StatusCode::kCancelled));
  const absl::StatusOr<size_t> again = co_await pair->client->Read({&byte, 1}, kPatience);
  EXPECT_THAT(again, StatusIs(absl::StatusCode::kCancelled));
}
TEST_P(StreamConformanceTest, ShutdownEndsAWaitingReadAndEverythingAfterIt) {
  Run(ShutdownUnderRead);
}

Task<void> StoreWrite(Stream* stream, absl::Status* out) {
  const std::vector<std::byte> much(size_t{64} << 20);
  const std::array<ConstBytes, 1> parts = {ConstBytes(much)};
  *out = co_await stream->WriteAll(parts, kNoTimeout);
}

Task<void> ShutdownUnderWrite(StreamPair* pair) {
  absl::Status written;
  Scope scope;
  scope.Spawn(StoreWrite(pair->client.get(), &written));
  // Something has come through, so the writer is at work, and nobody takes the rest.
  std::byte byte{};
  EXPECT_OK(co_await ReadExactly(pair->server.get(), {&byte, 1}, Deadline(kPatience)));
  pair->client->Shutdown();
  co_await scope.Join();
  EXPECT_THAT(written, StatusIs(absl::StatusCode::kCancelled));
}
TEST_P(StreamConformanceTest, ShutdownEndsAWriterThatNobodyReads) {
  Run(ShutdownUnderWrite);
}

Task<void> PeerVanishes(StreamPair* pair) {
  pair->server->Shutdown();
  pair->server.reset();
  std::byte byte{};
  absl::Status written;
  for (int i = 0; i < 1000 && written.ok(); ++i) {
    const std::array<ConstBytes, 1> parts = {ConstBytes(&byte, 1)};
    written = co_await pair->client->WriteAll(parts, kPatience);
  }
  EXPECT_THAT(written, StatusIs(absl::StatusCode::kUnavailable));
}
TEST_P(StreamConformanceTest, WritingToAPeerThatIsGoneFails) {
  Run(PeerVanishes);
}

Task<void> ReadTimesOut(StreamPair* pair) {
  std::byte byte{};
  const absl::StatusOr<size_t> read = co_await pair->client->Read({&byte, 1}, milliseconds(20));
  EXPECT_THAT(read, StatusIs(absl::StatusCode::kDeadlineExceeded));
  // The connection survives it.
  const std::array<ConstBytes, 1> parts = {ConstBytes(&byte, 1)};
  EXPECT_OK(co_await pair->server->WriteAll(parts, kPatience));
  const absl::StatusOr<size_t> later = co_await pair->client->Read({&byte, 1}, kPatience);
  EXPECT_THAT(later, IsOkAndHolds(size_t{1}));
}
TEST_P(StreamConformanceTest, AReadHasADeadlineAndTheStreamOutlivesIt) {
  if (GetParam().kind == StreamKind::kMemory) GTEST_SKIP() << "a stream in memory keeps no time";
  Run(ReadTimesOut);
}

Task<void> WriteTimesOut(StreamPair* pair) {
  const std::vector<std::byte> much(size_t{64} << 20);
  const std::array<ConstBytes, 1> parts = {ConstBytes(much)};
  const absl::Status written = co_await pair->client->WriteAll(parts, milliseconds(50));
  EXPECT_THAT(written, StatusIs(absl::StatusCode::kDeadlineExceeded));
}
TEST_P(StreamConformanceTest, AWriteThatNobodyTakesHasADeadline) {
  if (GetParam().kind == StreamKind::kMemory) GTEST_SKIP() << "a stream in memory keeps no time";
  Run(WriteTimesOut);
}

TEST_P(StreamConformanceTest, SocketTrafficIsRingOperations) {
  if (GetParam().kind == StreamKind::kMemory) GTEST_SKIP() << "a stream in memory makes no system call";
  Run(ExchangeBothWays);
  const DriverCounters counters = runtime_->Counters();
  if (GetParam().kind == StreamKind::kPipe || GetParam().kind == StreamKind::kMux) {
    EXPECT_GT(counters.submitted[static_cast<size_t>(OpCode::kReadPipe)], 0u);
    EXPECT_GT(counters.submitted[static_cast<size_t>(OpCode::kWritePipe)], 0u);
    return;
  }
  EXPECT_GT(counters.submitted[static_cast<size_t>(OpCode::kRecv)], 0u);
  EXPECT_GT(counters.submitted[static_cast<size_t>(OpCode::kSend)], 0u);
  EXPECT_GT(counters.submitted[static_cast<size_t>(OpCode::kAccept)], 0u);
  EXPECT_GT(counters.submitted[static_cast<size_t>(OpCode::kConnect)], 0u);
}

std::vector<Where> Everywhere() {
  std::vector<Where> all;
  for (IoBackend backend : {IoBackend::kUring, IoBackend::kThreads}) {
    for (StreamKind kind : {StreamKind::kMemory, StreamKind::kTcp, StreamKind::kUnix, StreamKind::kTls,
                            StreamKind::kPipe, StreamKind::kMux})
      all.push_back({kind, backend});
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Kinds, StreamConformanceTest, testing::ValuesIn(Everywhere()), [](const auto& info) {
  return StreamKindName(info.param.kind) + (info.param.backend == IoBackend::kUring ? "Uring" : "Threads");
});

}  // namespace
}  // namespace uringsync
