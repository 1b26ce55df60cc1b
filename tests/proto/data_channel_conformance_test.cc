// One suite for the data plane over every kind of stream, on both I/O backends, with either end as the one that
// connected.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/net/memory_stream.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/compressor.h"
#include "proto/data_convert.h"
#include "proto/data_stream.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/stream_pair.h"

namespace uringsync {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr Timeout kPatience = std::chrono::seconds(60);

struct Where {
  StreamKind kind;
  IoBackend backend;
  Role connects;  // which end opened the connection
};

SessionToken GoodToken() {
  SessionToken token{};
  token.fill(0x5a);
  return token;
}

absl::Status AdmitGood(const DataHello& hello, const PeerIdentity*) {
  if (TokensEqual(hello.token, GoodToken())) return absl::OkStatus();
  return absl::PermissionDeniedError("no such session, or the token is wrong");
}

struct Pair {
  std::unique_ptr<RequestChannel> requests;
  std::unique_ptr<ReplyChannel> replies;
  std::unique_ptr<MuxPair> mux;  // what the streams lie in, for that kind
};

Task<void> Accept(std::unique_ptr<Stream> stream, DataAdmission admit, absl::StatusOr<AcceptedData>* out) {
  *out = co_await AcceptDataConnection(std::move(stream), nullptr, std::move(admit));
}

Task<absl::StatusOr<Pair>> OpenPair(Driver* driver, Where where, std::shared_ptr<const TlsContext> tls) {
  Pair pair;
  if (where.kind == StreamKind::kMemory) {
    std::tie(pair.requests, pair.replies) = MakeInMemoryDataPair();
    co_return std::move(pair);
  }
  US_CO_ASSIGN_OR_RETURN(StreamPair streams, co_await MakeStreamPair(driver, where.kind, tls));
  pair.mux = std::move(streams.mux);
  DataHello hello;
  hello.session.fill(3);
  hello.token = GoodToken();
  absl::StatusOr<AcceptedData> accepted = absl::UnknownError("not accepted");
  Scope scope;
  scope.Spawn(Accept(std::move(streams.server), AdmitGood, &accepted));
  absl::Status opened;
  if (where.connects == Role::kDestination) {
    absl::StatusOr<std::unique_ptr<RequestChannel>> channel =
        co_await OpenRequestChannel(std::move(streams.client), hello);
    opened = channel.status();
    if (channel.ok()) pair.requests = *std::move(channel);
  } else {
    absl::StatusOr<std::unique_ptr<ReplyChannel>> channel = co_await OpenReplyChannel(std::move(streams.client), hello);
    opened = channel.status();
    if (channel.ok()) pair.replies = *std::move(channel);
  }
  co_await scope.Join();
  US_CO_RETURN_IF_ERROR(opened);
  if (!accepted.ok()) co_return accepted.status();
  EXPECT_EQ(accepted->hello.role, where.connects);
  EXPECT_EQ(accepted->hello.session, hello.session);
  if (accepted->request_channel) pair.requests = std::move(accepted->request_channel);
  if (accepted->reply_channel) pair.replies = std::move(accepted->reply_channel);
  co_return std::move(pair);
}

class DataChannelTest : public testing::TestWithParam<Where> {
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
    absl::StatusOr<Pair> pair = co_await OpenPair(driver, GetParam(), certificates_->context());
    EXPECT_OK(pair);
    if (!pair.ok()) co_return;
    co_await body(&*pair);
    pair->requests.reset();
    pair->replies.reset();
    if (pair->mux != nullptr) co_await pair->mux->Close();
  }
};
std::unique_ptr<TestCertificates> DataChannelTest::certificates_;

FileRequest Request(uint64_t id) {
  FileRequest request;
  request.id = id;
  request.path = *RelPath::Parse("directory/of/files/" + std::to_string(id));
  request.length = id;
  return request;
}

// Answers each request with a payload of `length` bytes of its id.
Task<void> Answer(ReplyChannel* channel, absl::Status* end) {
  while (true) {
    absl::StatusOr<RequestMessage> message = co_await channel->Receive();
    if (!message.ok()) {
      *end = message.status();
      break;
    }
    ReplyMessage reply;
    for (const FileRequest& request : message->requests) {
      ReplyItem item;
      item.id = request.id;
      item.data_length = static_cast<uint32_t>(request.length);
      item.end = true;
      reply.items.push_back(item);
      reply.payload.resize(reply.payload.size() + request.length, static_cast<std::byte>(request.id));
    }
    absl::Status sent = co_await channel->Send(std::move(reply));
    EXPECT_OK(sent);
  }
  EXPECT_OK(co_await channel->End());
}

Task<void> Ask(RequestChannel* channel, std::vector<uint64_t> ids) {
  RequestMessage message;
  for (uint64_t id : ids) message.requests.push_back(Request(id));
  EXPECT_OK(co_await channel->Send(std::move(message)));
}

Task<void> AskAll(RequestChannel* channel, size_t messages, size_t per_message) {
  uint64_t id = 0;
  for (size_t i = 0; i < messages; ++i) {
    std::vector<uint64_t> ids;
    for (size_t n = 0; n < per_message; ++n) ids.push_back(++id);
    co_await Ask(channel, ids);
  }
  EXPECT_OK(co_await channel->End());
}

Task<void> TakeAll(RequestChannel* channel, std::vector<uint64_t>* seen, absl::Status* end) {
  while (true) {
    absl::StatusOr<ReplyMessage> message = co_await channel->Receive();
    if (!message.ok()) {
      *end = message.status();
      co_return;
    }
    size_t at = 0;
    for (const ReplyItem& item : message->items) {
      seen->push_back(item.id);
      EXPECT_EQ(item.data_length, item.id);
      for (size_t i = 0; i < item.data_length; ++i)
        EXPECT_EQ(message->payload[at + i], static_cast<std::byte>(item.id));
      at += item.data_length;
    }
    EXPECT_EQ(at, message->payload.size());
  }
}

Task<void> Conversation(Pair* pair) {
  std::vector<uint64_t> seen;
  absl::Status source_end;
  absl::Status destination_end;
  Scope scope;
  scope.Spawn(Answer(pair->replies.get(), &source_end));
  scope.Spawn(AskAll(pair->requests.get(), 20, 50));
  scope.Spawn(TakeAll(pair->requests.get(), &seen, &destination_end));
  co_await scope.Join();
  EXPECT_THAT(source_end, StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(destination_end, StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_GT(pair->requests->wire_bytes(), 500'000u);
}
TEST_P(DataChannelTest, RequestsAreAnsweredAndBothSidesEndOrderly) {
  Run(Conversation);
}

std::vector<FileRequest> OneOfEachKind() {
  constexpr uint64_t kMib = uint64_t{1} << 20;
  const std::tuple<RequestKind, uint64_t, uint64_t, uint32_t> kinds[] = {
      {RequestKind::kContents, 5, 20, 0},
      {RequestKind::kLeaves, 3 * kMib, 64 * kMib, 0},
      {RequestKind::kBlocks, 12345, kMib, 4096},
      {RequestKind::kChunks, 0, 32 * kMib, 64 << 10},
      {RequestKind::kExtents, 1, (uint64_t{1} << 40) - 1, 0}};
  std::vector<FileRequest> requests;
  for (const auto& [kind, offset, length, unit] : kinds) {
    FileRequest& request = requests.emplace_back(Request(requests.size() + 1));
    request.file = {9, 10};
    request.size_bytes = uint64_t{1} << 40;
    request.kind = kind;
    request.offset = offset;
    request.length = length;
    request.unit_bytes = unit;
  }
  return requests;
}

Task<void> EveryKindArrives(Pair* pair) {
  const std::vector<FileRequest> asked = OneOfEachKind();
  RequestMessage message;
  message.requests = asked;
  EXPECT_OK(co_await pair->requests->Send(std::move(message)));
  absl::StatusOr<RequestMessage> arrived = co_await pair->replies->Receive();
  EXPECT_OK(arrived);
  EXPECT_EQ(arrived->requests.size(), asked.size());
  ReplyMessage answers;
  for (size_t i = 0; i < arrived->requests.size(); ++i) {
    const FileRequest& request = arrived->requests[i];
    EXPECT_EQ(request.kind, asked[i].kind);
    EXPECT_EQ(request.path, asked[i].path);
    EXPECT_EQ(std::tuple(request.offset, request.length, request.size_bytes, request.unit_bytes),
              std::tuple(asked[i].offset, asked[i].length, asked[i].size_bytes, asked[i].unit_bytes));
    // A signature is one item with its payload.
    ReplyItem item;
    item.id = request.id;
    item.offset = request.offset;
    item.data_length = 100;
    item.end = true;
    answers.items.push_back(item);
    answers.payload.resize(answers.payload.size() + item.data_length, static_cast<std::byte>(i));
  }
  EXPECT_OK(co_await pair->replies->Send(std::move(answers)));
  absl::StatusOr<ReplyMessage> answered = co_await pair->requests->Receive();
  EXPECT_OK(answered);
  EXPECT_EQ(answered->items.size(), asked.size());
  for (size_t i = 0; i < answered->items.size(); ++i) {
    EXPECT_EQ(answered->items[i].id, asked[i].id);
    EXPECT_EQ(answered->items[i].offset, asked[i].offset);
    EXPECT_EQ(answered->payload[i * 100], static_cast<std::byte>(i));
  }
  pair->requests->Close();
  pair->replies->Close();
}
TEST_P(DataChannelTest, RequestsOfEveryKindArriveAsTheyWereAsked) {
  Run(EveryKindArrives);
}

Task<void> SendPieces(ReplyChannel* channel, uint64_t id, size_t pieces) {
  for (size_t i = 0; i < pieces; ++i) {
    ReplyMessage message;
    ReplyItem item;
    item.id = id;
    item.offset = i * kMaxPieceBytes;
    item.data_length = kMaxPieceBytes;
    item.end = i + 1 == pieces;
    message.items.push_back(item);
    message.payload.assign(kMaxPieceBytes, static_cast<std::byte>(id));
    EXPECT_OK(co_await channel->Send(std::move(message)));
  }
}

Task<void> SendFromMany(ReplyChannel* channel) {
  Scope scope;
  for (uint64_t id = 1; id <= 4; ++id) scope.Spawn(SendPieces(channel, id, 5));
  co_await scope.Join();
  EXPECT_OK(co_await channel->End());
}

Task<void> TakePieces(RequestChannel* channel, size_t* pieces) {
  while (true) {
    absl::StatusOr<ReplyMessage> message = co_await channel->Receive();
    if (!message.ok()) {
      EXPECT_THAT(message, StatusIs(absl::StatusCode::kOutOfRange));
      co_return;
    }
    EXPECT_EQ(message->items.size(), 1u);
    const auto id = static_cast<std::byte>(message->items[0].id);
    EXPECT_TRUE(std::all_of(message->payload.begin(), message->payload.end(), [id](std::byte b) { return b == id; }));
    ++*pieces;
  }
}

Task<void> ManySenders(Pair* pair) {
  size_t pieces = 0;
  Scope scope;
  scope.Spawn(SendFromMany(pair->replies.get()));
  scope.Spawn(TakePieces(pair->requests.get(), &pieces));
  co_await scope.Join();
  EXPECT_EQ(pieces, 20u);
}
TEST_P(DataChannelTest, RepliesOfManyCoroutinesDoNotInterleave) {
  Run(ManySenders);
}

// A message of small items in the payload and one more in a buffer behind it.
Task<void> SendTail(ReplyChannel* channel, std::vector<size_t> small, size_t tail) {
  ReplyMessage message;
  for (size_t i = 0; i <= small.size(); ++i) {
    const size_t length = i < small.size() ? small[i] : tail;
    ReplyItem item;
    item.id = i + 1;
    item.data_length = static_cast<uint32_t>(length);
    item.end = true;
    message.items.push_back(item);
    if (i < small.size()) message.payload.resize(message.payload.size() + length, static_cast<std::byte>(i + 1));
  }
  message.tail = co_await Shard::Current()->buffers()->Get();
  message.tail_length = tail;
  std::fill_n(message.tail.data(), tail, static_cast<std::byte>(small.size() + 1));
  EXPECT_OK(co_await channel->Send(std::move(message)));
}

Task<void> SendTails(ReplyChannel* channel) {
  co_await SendTail(channel, {}, 1);
  co_await SendTail(channel, {}, 256 << 10);
  co_await SendTail(channel, {1, 70000, 3}, 256 << 10);
  // More than one message on the wire takes: cut within the payload, at its end, and within the tail's piece.
  co_await SendTail(channel, std::vector<size_t>(9, 100000), kMaxPieceBytes);
  co_await SendTail(channel, {kMaxPieceBytes}, kMaxPieceBytes);
  EXPECT_OK(co_await channel->End());
}

Task<void> TailsArriveInThePayload(Pair* pair) {
  std::vector<size_t> lengths;
  absl::Status end;
  Scope scope;
  scope.Spawn(SendTails(pair->replies.get()));
  while (true) {
    absl::StatusOr<ReplyMessage> message = co_await pair->requests->Receive();
    if (!message.ok()) {
      end = message.status();
      break;
    }
    EXPECT_EQ(message->tail_length, 0u);
    size_t at = 0;
    for (const ReplyItem& item : message->items) {
      lengths.push_back(item.data_length);
      EXPECT_LE(at + item.data_length, message->payload.size());
      if (at + item.data_length > message->payload.size()) break;
      const auto piece = std::span<const std::byte>(message->payload).subspan(at, item.data_length);
      const auto mark = static_cast<std::byte>(item.id);
      EXPECT_TRUE(std::all_of(piece.begin(), piece.end(), [mark](std::byte b) { return b == mark; })) << item.id;
      at += item.data_length;
    }
    EXPECT_EQ(at, message->payload.size());
  }
  co_await scope.Join();
  EXPECT_THAT(end, StatusIs(absl::StatusCode::kOutOfRange));
  std::vector<size_t> expected{1, 256 << 10, 1, 70000, 3, 256 << 10};
  expected.insert(expected.end(), 9, 100000);
  expected.insert(expected.end(), {kMaxPieceBytes, kMaxPieceBytes, kMaxPieceBytes});
  EXPECT_EQ(lengths, expected);
}
TEST_P(DataChannelTest, WhatLiesInABufferBehindThePayloadArrivesInThePayload) {
  Run(TailsArriveInThePayload);
}

Task<void> StoreReceive(RequestChannel* channel, absl::Status* out) {
  absl::StatusOr<ReplyMessage> message = co_await channel->Receive();
  *out = message.status();
}

Task<void> CloseUnderReceive(Pair* pair) {
  absl::Status status;
  Scope scope;
  scope.Spawn(StoreReceive(pair->requests.get(), &status));
  co_await Yield{};
  pair->requests->Close();
  co_await scope.Join();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled));
  const absl::Status sent = co_await pair->requests->Send({{Request(1)}});
  EXPECT_THAT(sent, StatusIs(absl::StatusCode::kCancelled));
  absl::StatusOr<RequestMessage> there = co_await pair->replies->Receive();
  EXPECT_TRUE(absl::IsOutOfRange(there.status()) || absl::IsUnavailable(there.status()))
      << std::string(there.status().ToString());
}
TEST_P(DataChannelTest, CloseEndsAWaitingReceiveAndIsSeenByThePeer) {
  Run(CloseUnderReceive);
}

Task<void> BadMessages(Pair* pair) {
  ReplyMessage wrong;
  wrong.payload.resize(5);
  EXPECT_THAT(co_await pair->replies->Send(std::move(wrong)), StatusIs(absl::StatusCode::kInvalidArgument));
  // Nothing of it was sent: the channel goes on.
  ReplyMessage good;
  good.items.resize(1);
  good.items[0].id = 77;
  EXPECT_OK(co_await pair->replies->Send(std::move(good)));
  absl::StatusOr<ReplyMessage> seen = co_await pair->requests->Receive();
  EXPECT_OK(seen);
  if (seen.ok()) EXPECT_EQ(seen->items[0].id, 77u);
}
TEST_P(DataChannelTest, AMessageThatIsRefusedBeforeItIsSentHarmsNothing) {
  Run(BadMessages);
}

// A message whose contents are `raw`, compressed.
Task<ReplyMessage> Compressed(Payload raw) {
  ReplyMessage message;
  message.items.resize(1);
  message.items[0].data_length = static_cast<uint32_t>(raw.size());
  Compressor compressor;
  absl::StatusOr<bool> smaller = co_await compressor.Compress(raw, 1, &message.payload);
  EXPECT_OK(smaller);
  message.raw_length = raw.size();
  co_return message;
}

Task<void> CompressedMessages(Pair* pair) {
  Payload raw;
  raw.assign(300'000, std::byte{7});
  const uint64_t before = pair->requests->wire_bytes();
  ReplyMessage message = co_await Compressed(raw);
  EXPECT_OK(co_await pair->replies->Send(std::move(message)));
  // Plain ones go between.
  ReplyMessage plain;
  plain.items.resize(1);
  plain.items[0].data_length = 3;
  plain.payload.assign(3, std::byte{9});
  EXPECT_OK(co_await pair->replies->Send(std::move(plain)));
  absl::StatusOr<ReplyMessage> seen = co_await pair->requests->Receive();
  EXPECT_OK(seen);
  if (!seen.ok()) co_return;
  EXPECT_EQ(seen->raw_length, 0u);
  EXPECT_EQ(seen->payload, raw);
  EXPECT_LT(pair->requests->wire_bytes() - before, 3000u);
  seen = co_await pair->requests->Receive();
  EXPECT_OK(seen);
  if (seen.ok()) EXPECT_EQ(seen->payload.size(), 3u);
}
TEST_P(DataChannelTest, CompressedContentsArrivePlain) {
  Run(CompressedMessages);
}

Task<void> DamagedCompression(Pair* pair) {
  Payload raw;
  raw.assign(300'000, std::byte{7});
  ReplyMessage message = co_await Compressed(raw);
  message.payload[message.payload.size() / 2] ^= std::byte{0x55};
  message.items[0].data_length = 200'000;
  message.raw_length = 200'000;
  EXPECT_OK(co_await pair->replies->Send(std::move(message)));
  absl::StatusOr<ReplyMessage> seen = co_await pair->requests->Receive();
  EXPECT_THAT(seen, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("compressed payload")));
  seen = co_await pair->requests->Receive();
  EXPECT_FALSE(seen.ok()) << "the connection is over";
}
TEST_P(DataChannelTest, AFrameThatIsNotWhatItsMessageSaysEndsTheConnection) {
  Run(DamagedCompression);
}

Task<void> ClaimsTooMuch(Pair* pair) {
  // Two items of a mebibyte each and a third: more than a frame may hold plain.
  Payload raw;
  raw.assign(1 << 20, std::byte{7});
  ReplyMessage message = co_await Compressed(raw);
  for (int i = 0; i < 2; ++i) message.items.push_back(message.items[0]);
  message.raw_length = 3 << 20;
  EXPECT_THAT(co_await pair->replies->Send(std::move(message)), StatusIs(absl::StatusCode::kInvalidArgument));
}
TEST_P(DataChannelTest, MoreThanAFrameHoldsIsNotCompressed) {
  Run(ClaimsTooMuch);
}

std::vector<Where> Everywhere() {
  std::vector<Where> all;
  for (IoBackend backend : {IoBackend::kUring, IoBackend::kThreads}) {
    all.push_back({StreamKind::kMemory, backend, Role::kDestination});
    for (StreamKind kind : {StreamKind::kTcp, StreamKind::kTls, StreamKind::kMux}) {
      for (Role connects : {Role::kDestination, Role::kSource}) all.push_back({kind, backend, connects});
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Kinds, DataChannelTest, testing::ValuesIn(Everywhere()), [](const auto& info) {
  return StreamKindName(info.param.kind) + (info.param.backend == IoBackend::kUring ? "Uring" : "Threads") +
         (info.param.connects == Role::kSource ? "SourceConnects" : "DestinationConnects");
});

// ---- handshake
// ------------------------------------------------------------------------------------------------------------

class DataHandshakeTest : public testing::Test {
 protected:
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime();
  void Run(Task<void> task) { BlockOn(&runtime_->shard(0), std::move(task)); }
};

Task<void> Handshake(DataHello hello, absl::Status* here, absl::Status* there) {
  auto [client, server] = MakeMemoryStreamPair();
  absl::StatusOr<AcceptedData> accepted = absl::UnknownError("not run");
  Scope scope;
  scope.Spawn(Accept(std::move(server), AdmitGood, &accepted));
  absl::StatusOr<std::unique_ptr<RequestChannel>> channel = co_await OpenRequestChannel(std::move(client), hello);
  *here = channel.status();
  co_await scope.Join();
  *there = accepted.status();
}

TEST_F(DataHandshakeTest, AWrongTokenIsRefusedAndBothSidesKnow) {
  absl::Status here;
  absl::Status there;
  DataHello hello;
  Run(Handshake(hello, &here, &there));
  EXPECT_THAT(here, StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("the token is wrong")));
  EXPECT_THAT(there, StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("data connection from memory")));
}

TEST_F(DataHandshakeTest, AnotherVersionIsRefusedNamingBoth) {
  absl::Status here;
  absl::Status there;
  DataHello hello;
  hello.token = GoodToken();
  hello.version = 99;
  Run(Handshake(hello, &here, &there));
  EXPECT_THAT(
      here, StatusIs(absl::StatusCode::kFailedPrecondition, AllOf(HasSubstr("version 99"), HasSubstr("only 1 to 1"))));
  EXPECT_THAT(there, StatusIs(absl::StatusCode::kFailedPrecondition));
}

Task<void> AcceptRaw(std::string bytes, absl::Status* out) {
  auto [client, server] = MakeMemoryStreamPair();
  const std::array<ConstBytes, 1> parts = {std::as_bytes(std::span<const char>(bytes.data(), bytes.size()))};
  (void)co_await client->WriteAll(parts, kPatience);
  (void)co_await client->EndWrites(kPatience);
  absl::StatusOr<AcceptedData> accepted = co_await AcceptDataConnection(std::move(server), nullptr, AdmitGood);
  *out = accepted.status();
}

TEST_F(DataHandshakeTest, WhatIsNoHelloIsRefused) {
  absl::Status status;
  Run(AcceptRaw("GET / HTTP/1.1\r\n\r\n", &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("magic")));
  const auto large = EncodeFramePrefix({1, kDataHelloLimits.max_header_bytes + 1, 0});
  Run(AcceptRaw(std::string(reinterpret_cast<const char*>(large.data()), large.size()), &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("beyond the limit of 4096")));
  const auto early = EncodeFramePrefix({3, 0, 0});
  Run(AcceptRaw(std::string(reinterpret_cast<const char*>(early.data()), early.size()), &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("frame type 3")));
  Run(AcceptRaw("", &status));
  EXPECT_FALSE(status.ok());
}

Task<void> SilentPeer(Driver* driver, absl::Status* out) {
  absl::StatusOr<StreamPair> pair = co_await MakeStreamPair(driver, StreamKind::kTcp, nullptr);
  EXPECT_OK(pair);
  if (!pair.ok()) co_return;
  DataTimeouts timeouts;
  timeouts.handshake = std::chrono::milliseconds(50);
  absl::StatusOr<AcceptedData> accepted =
      co_await AcceptDataConnection(std::move(pair->server), nullptr, AdmitGood, timeouts);
  *out = accepted.status();
}

TEST_F(DataHandshakeTest, ASilentPeerRunsIntoTheDeadline) {
  absl::Status status;
  Run(SilentPeer(runtime_->shard(0).driver(), &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

// A malformed frame after the handshake ends the channel for good.
Task<void> MalformedReply(absl::Status* first, absl::Status* second) {
  auto [client, server] = MakeMemoryStreamPair();
  absl::StatusOr<AcceptedData> accepted = absl::UnknownError("not run");
  Stream* const raw = server.get();
  DataHello hello;
  hello.token = GoodToken();
  const std::string reply = EncodeDataHelloReply({.ok = true});
  const ConstBytes header = std::as_bytes(std::span<const char>(reply.data(), reply.size()));
  (void)co_await WriteFrame(raw, static_cast<uint8_t>(DataFrameType::kHelloReply), header, {}, kPatience);
  absl::StatusOr<std::unique_ptr<RequestChannel>> channel = co_await OpenRequestChannel(std::move(client), hello);
  EXPECT_OK(channel);
  if (!channel.ok()) co_return;
  const std::vector<std::byte> payload(5);
  (void)co_await WriteFrame(raw, static_cast<uint8_t>(DataFrameType::kReplies), {}, payload, kPatience);
  absl::StatusOr<ReplyMessage> message = co_await (*channel)->Receive();
  *first = message.status();
  message = co_await (*channel)->Receive();
  *second = message.status();
}

TEST_F(DataHandshakeTest, AMalformedReplyEndsTheChannel) {
  absl::Status first;
  absl::Status second;
  Run(MalformedReply(&first, &second));
  EXPECT_THAT(first, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("its payload has 5")));
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace uringsync
