// What a mux promises beyond being a stream (stream_conformance_test.cc): credit, order, ends, and what it refuses.
#include "engine/net/mux.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "engine/coro/scope.h"
#include "engine/net/memory_stream.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/stream_pair.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class MuxTest : public testing::TestWithParam<IoBackend> {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam();
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(options);
    if (!runtime.ok()) GTEST_SKIP() << std::string(runtime.status().message());
    runtime_ = *std::move(runtime);
  }
  void Run(Task<void> (*body)(Driver*)) { BlockOn(&runtime_->shard(0), body(runtime_->shard(0).driver())); }
  std::unique_ptr<Runtime> runtime_;
};
INSTANTIATE_TEST_SUITE_P(Backends, MuxTest, testing::Values(IoBackend::kUring, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "Uring" : "Threads"; });

struct Ends {
  std::unique_ptr<Stream> near;
  std::unique_ptr<Stream> far;
};

Task<Ends> OpenStream(MuxPair* pair, MuxKind kind) {
  Ends ends;
  absl::StatusOr<std::unique_ptr<Stream>> opened = pair->client->Open(kind);
  EXPECT_OK(opened);
  ends.near = *std::move(opened);
  std::optional<MuxAccepted> accepted = co_await pair->server->Accept();
  EXPECT_TRUE(accepted.has_value());
  EXPECT_EQ(accepted->kind, kind);
  ends.far = std::move(accepted->stream);
  co_return ends;
}

Task<void> WriteMuch(Stream* stream, size_t bytes, absl::Status* out) {
  const std::vector<std::byte> much(bytes, std::byte{7});
  const std::array<ConstBytes, 1> parts = {ConstBytes(much)};
  *out = co_await stream->WriteAll(parts, kNoTimeout);
}

Task<void> Take(Stream* stream, size_t bytes) {
  std::vector<std::byte> got(bytes);
  EXPECT_OK(co_await ReadExactly(stream, got, Deadline(kNoTimeout)));
}

Task<void> OneStreamIsNotRead(Driver* driver) {
  MuxPair pair(driver);
  Ends bulk = co_await OpenStream(&pair, MuxKind::kData);
  Ends other = co_await OpenStream(&pair, MuxKind::kData);
  Ends control = co_await OpenStream(&pair, MuxKind::kControl);
  absl::Status bulk_written;
  Scope scope;
  scope.Spawn(WriteMuch(bulk.near.get(), size_t{16} << 20, &bulk_written));
  // Ten times what a stream's window is, both ways, while nobody reads the first stream.
  for (Ends* ends : {&other, &control}) {
    for (Stream* writer : {ends->near.get(), ends->far.get()}) {
      absl::Status written;
      Scope exchange;
      exchange.Spawn(WriteMuch(writer, size_t{20} << 20, &written));
      exchange.Spawn(Take(writer == ends->near.get() ? ends->far.get() : ends->near.get(), size_t{20} << 20));
      co_await exchange.Join();
      EXPECT_OK(written);
    }
  }
  EXPECT_LE(bulk.near->bytes_written(), MuxWindow(MuxKind::kData));
  bulk.far->Shutdown();
  co_await scope.Join();
  EXPECT_THAT(bulk_written, StatusIs(absl::StatusCode::kUnavailable));
  for (Ends* ends : {&bulk, &other, &control}) *ends = Ends{};
  co_await pair.Close();
}
TEST_P(MuxTest, AStreamThatNobodyReadsHoldsUpNoOther) {
  Run(OneStreamIsNotRead);
}

Task<void> Goodbye(Driver* driver) {
  MuxPair pair(driver);
  Ends ends = co_await OpenStream(&pair, MuxKind::kData);
  absl::Status written;
  co_await WriteMuch(ends.near.get(), 1000, &written);
  EXPECT_OK(written);
  co_await pair.client->End();
  co_await pair.running.Join();
  EXPECT_OK(pair.client_end);
  EXPECT_OK(pair.server_end);
  co_await Take(ends.far.get(), 1000);  // what was written before is there
  std::byte byte{};
  const absl::StatusOr<size_t> after = co_await ends.far->Read({&byte, 1}, kNoTimeout);
  EXPECT_THAT(after, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("has ended the connection")));
  EXPECT_FALSE(pair.server->Open(MuxKind::kData).ok());
  const std::optional<MuxAccepted> none = co_await pair.server->Accept();
  EXPECT_FALSE(none.has_value());
}
TEST_P(MuxTest, AGoodbyeEndsBothSidesAndLosesNothing) {
  Run(Goodbye);
}

Task<void> ManyStreams(Driver* driver) {
  MuxPair pair(driver);
  for (int round = 0; round < 3; ++round) {
    std::vector<Ends> open;
    for (size_t i = 0; i < kMaxMuxStreams; ++i) open.push_back(co_await OpenStream(&pair, MuxKind::kData));
    EXPECT_THAT(pair.client->Open(MuxKind::kData), StatusIs(absl::StatusCode::kResourceExhausted));
    for (Ends& ends : open) {
      // Half of them end in good order, half are dropped.
      if (&ends - open.data() < 24) {
        EXPECT_OK(co_await ends.near->EndWrites(kNoTimeout));
        EXPECT_OK(co_await ends.far->EndWrites(kNoTimeout));
        std::byte byte{};
        EXPECT_THAT(co_await ends.near->Read({&byte, 1}, kNoTimeout), IsOkAndHolds(size_t{0}));
      } else {
        ends.near.reset();
        std::byte byte{};
        const absl::StatusOr<size_t> read = co_await ends.far->Read({&byte, 1}, kNoTimeout);
        EXPECT_THAT(read, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("broke the stream off")));
      }
    }
  }
  co_await pair.Close();
}
TEST_P(MuxTest, StreamsThatAreOverMakeRoomForOthers) {
  Run(ManyStreams);
}

Task<void> EitherOpens(Driver* driver) {
  MuxPair pair(driver);
  absl::StatusOr<std::unique_ptr<Stream>> opened = pair.server->Open(MuxKind::kData);
  EXPECT_OK(opened);
  std::optional<MuxAccepted> accepted = co_await pair.client->Accept();
  EXPECT_TRUE(accepted.has_value());
  absl::Status written;
  co_await WriteMuch(opened->get(), 10, &written);
  co_await Take(accepted->stream.get(), 10);
  opened->reset();
  accepted.reset();
  co_await pair.Close();
}
TEST_P(MuxTest, TheAgentOpensStreamsToo) {
  Run(EitherOpens);
}

Task<void> StoreRun(Mux* mux, absl::Status* end) {
  *end = co_await mux->Run();
}

Task<void> SilentPeer(Driver* driver) {
  StreamPair pipes = MakePipePair(driver);
  Mux mux(std::move(pipes.client), MuxSide::kClient, driver,
          {.tick = milliseconds(2), .ping = milliseconds(10), .dead = milliseconds(40)});
  absl::Status end;
  co_await StoreRun(&mux, &end);
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("silent")));
  std::array<std::byte, kMuxFrameBytes> ping{};
  EXPECT_OK(co_await ReadExactly(pipes.server.get(), ping, Deadline(kNoTimeout)));
  const absl::StatusOr<MuxFrame> frame = ParseMuxFrame(ping);
  EXPECT_OK(frame);
  EXPECT_EQ(frame->type, MuxFrameType::kPing);
}
TEST_P(MuxTest, APeerThatAnswersNoPingIsGivenUp) {
  Run(SilentPeer);
}

Task<void> IdlePeer(Driver* driver) {
  MuxPair pair(driver, {.tick = milliseconds(2), .ping = milliseconds(10), .dead = milliseconds(2000)});
  Ends ends = co_await OpenStream(&pair, MuxKind::kData);
  std::byte byte{};
  const absl::StatusOr<size_t> read = co_await ends.near->Read({&byte, 1}, milliseconds(100));
  EXPECT_THAT(read, StatusIs(absl::StatusCode::kDeadlineExceeded));
  absl::Status written;
  co_await WriteMuch(ends.far.get(), 1, &written);
  EXPECT_THAT(co_await ends.near->Read({&byte, 1}, kNoTimeout), IsOkAndHolds(size_t{1}));
  ends = Ends{};
  co_await pair.Close();
}
TEST_P(MuxTest, AnIdlePeerStaysAndAReadKeepsItsTime) {
  Run(IdlePeer);
}

// ---- what is refused

void Append(const MuxFrame& frame, std::string body, std::string* out) {
  const auto header = EncodeMuxFrame(frame);
  out->append(reinterpret_cast<const char*>(header.data()), header.size());
  out->append(body);
}

Task<void> Feed(Stream* stream, std::string bytes) {
  const std::array<ConstBytes, 1> parts = {std::as_bytes(std::span<const char>(bytes.data(), bytes.size()))};
  (void)co_await stream->WriteAll(parts, kNoTimeout);
  (void)co_await stream->EndWrites(kNoTimeout);
}

// How an agent's mux ends that is sent `bytes`.
absl::Status EndAfter(const std::string& bytes) {
  ManualExecutor executor;
  Executor::Guard guard(&executor);
  auto [near, far] = MakeMemoryStreamPair();
  Mux mux(std::move(near), MuxSide::kAgent, nullptr);
  absl::Status end;
  Scope scope;
  scope.Spawn(StoreRun(&mux, &end));
  scope.Spawn(Feed(far.get(), bytes));
  executor.RunUntilIdle();
  EXPECT_EQ(scope.running(), 0u);
  return end;
}

TEST(MuxRefusalTest, WhatTheProtocolDoesNotHaveEndsTheMux) {
  const auto frames = [](std::vector<std::pair<MuxFrame, std::string>> list) {
    std::string bytes;
    for (auto& [frame, body] : list) Append(frame, body, &bytes);
    return bytes;
  };
  const MuxFrame open{MuxFrameType::kOpen, MuxKind::kControl, 1, 0};
  const auto data = [](uint32_t stream, uint32_t length) {
    return MuxFrame{MuxFrameType::kData, MuxKind::kControl, stream, length};
  };
  const std::string chunk(kMaxMuxDataBytes, 'x');
  struct Case {
    std::string bytes;
    const char* text;
  };
  const Case cases[] = {
      {frames({{data(1, 1), "x"}}), "never opened"},
      {frames({{{MuxFrameType::kOpen, MuxKind::kData, 2, 0}, ""}}), "cannot be opened"},
      {frames({{open, ""}, {open, ""}}), "cannot be opened"},
      {frames({{open, ""}, {{MuxFrameType::kEnd, MuxKind::kControl, 1, 0}, ""}, {data(1, 1), "x"}}), "after the end"},
      {frames({{open, ""},
               {{MuxFrameType::kEnd, MuxKind::kControl, 1, 0}, ""},
               {{MuxFrameType::kEnd, MuxKind::kControl, 1, 0}, ""}}),
       "ended twice"},
      {frames({{open, ""}, {data(1, kMaxMuxDataBytes), chunk}, {data(1, kMaxMuxDataBytes), chunk}, {data(1, 1), "x"}}),
       "beyond the credit"},
      {frames({{open, ""}, {{MuxFrameType::kCredit, MuxKind::kControl, 1, 4}, std::string("\1\0\0\0", 4)}}),
       "more credit"},
      {frames({{data(1, 0), ""}}), "has 0 bytes"},
      {frames({{data(1, kMaxMuxDataBytes + 1), ""}}), "has 131073 bytes"},
      {frames({{{MuxFrameType::kPing, MuxKind::kControl, 3, 0}, ""}}), "names stream 3"},
      {frames({{{MuxFrameType::kReset, MuxKind::kControl, 0, 0}, ""}}), "names stream 0"},
      {std::string(12, '\0'), "unknown type 0"},
      {std::string("\x09") + std::string(11, '\0'), "unknown type 9"},
      {std::string("\x01\x03\0\0\x01\0\0\0\0\0\0\0", 12), "unknown kind 3"},
      {std::string("\x04\0\x01\0\x01\0\0\0\0\0\0\0", 12), "bits that mean nothing"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(EndAfter(c.bytes), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.text))) << c.text;
  }
  std::string many;
  for (uint32_t i = 0; i <= kMaxMuxStreams; ++i) Append({MuxFrameType::kOpen, MuxKind::kData, 2 * i + 1, 0}, "", &many);
  EXPECT_THAT(EndAfter(many), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too many streams")));
}

TEST(MuxRefusalTest, AnEndWithoutGoodbyeIsABrokenConnection) {
  EXPECT_THAT(EndAfter(""), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("hung up")));
  EXPECT_THAT(EndAfter("\x07"), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("in the middle")));
  std::string bye;
  Append({MuxFrameType::kBye, MuxKind::kControl, 0, 0}, "", &bye);
  EXPECT_OK(EndAfter(bye));
}

TEST(MuxFrameTest, EveryFrameSurvivesTheWay) {
  for (const MuxFrame& frame : {MuxFrame{MuxFrameType::kOpen, MuxKind::kData, 0xfedcba98, 0},
                                MuxFrame{MuxFrameType::kData, MuxKind::kControl, 7, kMaxMuxDataBytes},
                                MuxFrame{MuxFrameType::kCredit, MuxKind::kControl, 8, 4},
                                MuxFrame{MuxFrameType::kBye, MuxKind::kControl, 0, 0}}) {
    const absl::StatusOr<MuxFrame> again = ParseMuxFrame(EncodeMuxFrame(frame));
    ASSERT_OK(again);
    EXPECT_EQ(again->type, frame.type);
    EXPECT_EQ(again->kind, frame.kind);
    EXPECT_EQ(again->stream, frame.stream);
    EXPECT_EQ(again->length, frame.length);
  }
  EXPECT_EQ(ParseMuxCredit(EncodeMuxCredit(0x01020304)), 0x01020304u);
}

TEST(MuxGreetingTest, AShellThatPrintsIsShownAndExplained) {
  EXPECT_EQ(kMuxGreeting.size(), 16u);
  EXPECT_OK(CheckMuxGreeting(kMuxGreeting, "far"));
  EXPECT_THAT(CheckMuxGreeting("uringsync-mux/2\n", "far"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("speaks version 2")));
  const absl::Status junk = CheckMuxGreeting("Welcome\x1b[2J\nto", "the shell of far");
  EXPECT_THAT(junk, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is your shell clean?")));
  EXPECT_THAT(junk, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("Welcome\\033[2J")));
}

}  // namespace
}  // namespace uringsync
