#include "engine/net/frame.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/coro/scope.h"
#include "engine/net/memory_stream.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/stream_pair.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

std::vector<std::byte> Bytes(size_t size, int value) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

absl::StatusOr<FramePrefix> Parse(std::array<std::byte, kFramePrefixBytes> bytes, FrameLimits limits = {}) {
  return ParseFramePrefix(bytes, limits);
}

TEST(FramePrefixTest, IsTwelveLittleEndianBytes) {
  const auto bytes = EncodeFramePrefix({.type = 3, .header_length = 0x01020304, .payload_length = 5});
  const uint8_t expected[] = {'U', 'S', 1, 3, 4, 3, 2, 1, 5, 0, 0, 0};
  EXPECT_EQ(std::memcmp(bytes.data(), expected, sizeof(expected)), 0);
}

TEST(FramePrefixTest, EveryBoundIsNamed) {
  const FrameLimits limits{.max_header_bytes = 10, .max_payload_bytes = 20};
  EXPECT_OK(Parse(EncodeFramePrefix({1, 10, 20}), limits));
  EXPECT_THAT(Parse(EncodeFramePrefix({1, 11, 0}), limits),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("header of 11 bytes is beyond the limit of 10")));
  EXPECT_THAT(Parse(EncodeFramePrefix({1, 0, 21}), limits),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("payload of 21 bytes is beyond the limit of 20")));
  auto bytes = EncodeFramePrefix({1, 0, 0});
  bytes[0] = std::byte{'G'};
  EXPECT_THAT(Parse(bytes), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("magic")));
  bytes = EncodeFramePrefix({1, 0, 0});
  bytes[2] = std::byte{2};
  EXPECT_THAT(Parse(bytes), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("version 2")));
}

class FrameReaderTest : public testing::Test {
 protected:
  // Runs `task` to its end with everything it needs on this thread.
  void Run(Task<void> task) {
    Executor::Guard guard(&executor_);
    Scope scope;
    scope.Spawn(std::move(task));
    executor_.RunUntilIdle();
    ASSERT_EQ(scope.running(), 0u);
  }
  ManualExecutor executor_;
};

Task<void> WriteAndEnd(Stream* stream, std::vector<std::vector<std::byte>> chunks) {
  for (const auto& chunk : chunks) {
    const std::array<ConstBytes, 1> parts = {ConstBytes(chunk)};
    (void)co_await stream->WriteAll(parts, kNoTimeout);
  }
  (void)co_await stream->EndWrites(kNoTimeout);
}

Task<void> Collect(Stream* stream, std::vector<Frame>* frames, absl::Status* end) {
  FrameReader reader(stream, {});
  while (true) {
    absl::StatusOr<Frame> frame = co_await reader.Read(kNoTimeout, kNoTimeout);
    if (!frame.ok()) {
      *end = frame.status();
      break;
    }
    frames->push_back(*std::move(frame));
  }
  stream->Shutdown();
}

Task<void> Transfer(std::vector<std::vector<std::byte>> chunks, std::vector<Frame>* frames, absl::Status* end) {
  auto [near, far] = MakeMemoryStreamPair();
  Scope scope;
  scope.Spawn(WriteAndEnd(far.get(), std::move(chunks)));
  scope.Spawn(Collect(near.get(), frames, end));
  co_await scope.Join();
}

std::vector<std::byte> Encode(uint8_t type, const std::vector<std::byte>& header,
                              const std::vector<std::byte>& payload) {
  const auto prefix =
      EncodeFramePrefix({type, static_cast<uint32_t>(header.size()), static_cast<uint32_t>(payload.size())});
  std::vector<std::byte> all(prefix.begin(), prefix.end());
  all.insert(all.end(), header.begin(), header.end());
  all.insert(all.end(), payload.begin(), payload.end());
  return all;
}

TEST_F(FrameReaderTest, FramesOfAnySizeComeOutAsTheyWentIn) {
  std::vector<std::byte> stream;
  const std::vector<std::pair<size_t, size_t>> sizes = {{0, 0},      {5, 0},       {0, 7},           {100, 40'000},
                                                        {70'000, 1}, {3, 1 << 20}, {65'536, 65'536}, {1, 1}};
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto frame = Encode(static_cast<uint8_t>(i), Bytes(sizes[i].first, 1), Bytes(sizes[i].second, 2));
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  std::vector<Frame> frames;
  absl::Status end;
  Run(Transfer({stream}, &frames, &end));
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kOutOfRange));
  ASSERT_EQ(frames.size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(frames[i].type, i);
    EXPECT_TRUE(frames[i].header == Bytes(sizes[i].first, 1)) << i;
    EXPECT_TRUE(std::ranges::equal(frames[i].payload, Bytes(sizes[i].second, 2))) << i;
  }
}

TEST_F(FrameReaderTest, AFrameMayArriveByteByByte) {
  std::vector<std::vector<std::byte>> chunks;
  for (std::byte byte : Encode(9, Bytes(20, 3), Bytes(30, 4))) chunks.push_back({byte});
  std::vector<Frame> frames;
  absl::Status end;
  Run(Transfer(chunks, &frames, &end));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload.size(), 30u);
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(FrameReaderTest, AnEndInsideAFrameIsNoOrderlyEnd) {
  const std::vector<std::byte> whole = Encode(9, Bytes(20, 3), Bytes(100'000, 4));
  for (size_t cut : {size_t{1}, size_t{11}, size_t{12}, size_t{15}, size_t{32}, size_t{33}, whole.size() - 1}) {
    std::vector<Frame> frames;
    absl::Status end;
    Run(Transfer({std::vector<std::byte>(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(cut))}, &frames, &end));
    EXPECT_TRUE(frames.empty());
    EXPECT_THAT(end, StatusIs(absl::StatusCode::kUnavailable)) << cut;
  }
}

Task<void> WriteTooLarge(absl::Status* out, uint64_t* written) {
  auto [near, far] = MakeMemoryStreamPair();
  const auto large = Bytes(kMaxFramePayloadBytes + 1, 0);
  *out = co_await WriteFrame(near.get(), 1, {}, large, kNoTimeout);
  *written = near->bytes_written();
}
TEST_F(FrameReaderTest, ATooLargeFrameIsNotBegun) {
  absl::Status status;
  uint64_t written = 1;
  Run(WriteTooLarge(&status, &written));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(written, 0u);
}

Task<void> StalledFrame(Driver* driver, absl::Status* out) {
  absl::StatusOr<StreamPair> pair = co_await MakeStreamPair(driver, StreamKind::kTcp, nullptr);
  if (!pair.ok()) co_return;
  const std::vector<std::byte> part = Bytes(3, 'U');
  const std::array<ConstBytes, 1> parts = {ConstBytes(part)};
  (void)co_await pair->client->WriteAll(parts, kNoTimeout);
  FrameReader reader(pair->server.get(), {});
  absl::StatusOr<Frame> frame = co_await reader.Read(kNoTimeout, std::chrono::milliseconds(30));
  *out = frame.status();
}
TEST_F(FrameReaderTest, AStartedFrameMustFinishInTimeHoweverLongTheStreamMayRest) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  absl::Status status;
  BlockOn(&runtime->shard(0), StalledFrame(runtime->shard(0).driver(), &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

}  // namespace
}  // namespace uringsync
