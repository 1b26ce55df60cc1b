// What a TLS connection refuses, and what it says then. Both ends' words are checked: each person sees only one.
#include "engine/net/tls.h"

#include <gtest/gtest.h>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/net/certificates.h"
#include "engine/net/connect.h"
#include "engine/net/listener.h"
#include "tests/support/relay.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/stream_pair.h"

namespace uringsync {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Timeout kPatience = seconds(20);

struct Shake {
  std::shared_ptr<const TlsContext> client;
  std::shared_ptr<const TlsContext> server;
  std::string name = "127.0.0.1";
  absl::Status client_status;
  absl::Status server_status;
  PeerIdentity seen_by_server;
};

Task<void> Server(Driver* driver, Listener* listener, Shake* shake) {
  absl::StatusOr<AcceptedSocket> socket = co_await listener->Accept();
  if (!socket.ok()) co_return;
  std::unique_ptr<Stream> stream = TcpStream::Adopt(driver, std::move(*socket));
  absl::StatusOr<std::unique_ptr<Stream>> secured = co_await TlsAccept(std::move(stream), shake->server, kPatience);
  shake->server_status = secured.status();
  if (!secured.ok()) co_return;
  shake->seen_by_server = *(*secured)->peer_identity();
  std::byte byte{};
  absl::StatusOr<size_t> n = co_await (*secured)->Read({&byte, 1}, kPatience);
  shake->server_status = n.status();
  (void)co_await (*secured)->EndWrites(kPatience);
}

// The client sends a byte and waits for the server's end: a refusal shows no later than here.
Task<void> Client(Driver* driver, uint16_t port, Shake* shake) {
  absl::StatusOr<std::unique_ptr<Stream>> stream = co_await Connect(driver, {.host = "127.0.0.1", .port = port});
  shake->client_status = stream.status();
  if (!stream.ok()) co_return;
  absl::StatusOr<std::unique_ptr<Stream>> secured =
      co_await TlsConnect(*std::move(stream), shake->client, shake->name, kPatience);
  shake->client_status = secured.status();
  if (!secured.ok()) co_return;
  std::byte byte{};
  const std::array<ConstBytes, 1> parts = {ConstBytes(&byte, 1)};
  (void)co_await (*secured)->WriteAll(parts, kPatience);
  absl::StatusOr<size_t> n = co_await (*secured)->Read({&byte, 1}, kPatience);
  shake->client_status = n.status();
}

Task<void> RunShake(Driver* driver, Shake* shake) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = co_await Listener::Listen(driver, {.host = "127.0.0.1"});
  EXPECT_OK(listener);
  if (!listener.ok()) co_return;
  Scope scope;
  scope.Spawn(Server(driver, listener->get(), shake));
  scope.Spawn(Client(driver, (*listener)->port(), shake));
  co_await scope.Join();
}

class TlsTest : public testing::TestWithParam<IoBackend> {
 protected:
  static void SetUpTestSuite() {
    ours_ = std::make_unique<TestCertificates>();
    theirs_ = std::make_unique<TestCertificates>();
  }
  static void TearDownTestSuite() {
    ours_.reset();
    theirs_.reset();
  }
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam();
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(options);
    if (!runtime.ok()) GTEST_SKIP() << std::string(runtime.status().message());
    runtime_ = *std::move(runtime);
  }
  void Run(Shake* shake) { BlockOn(&runtime_->shard(0), RunShake(runtime_->shard(0).driver(), shake)); }
  Driver* driver() { return runtime_->shard(0).driver(); }

  // A certificate of our authority that ended long ago.
  static std::shared_ptr<const TlsContext> Expired() {
    const IssueOptions issue{.directory = ours_->directory(),
                             .name = "expired",
                             .hosts = {"127.0.0.1"},
                             .days = 1,
                             .force = true,
                             .start_offset_seconds = -30 * 86400};
    EXPECT_OK(IssueCertificate(issue));
    absl::StatusOr<std::shared_ptr<const TlsContext>> context =
        TlsContext::Load(ours_->FilesOf("expired"), {.check_dates = false});
    EXPECT_OK(context);
    return *context;
  }

  static std::unique_ptr<TestCertificates> ours_;
  static std::unique_ptr<TestCertificates> theirs_;
  std::unique_ptr<Runtime> runtime_;
};
std::unique_ptr<TestCertificates> TlsTest::ours_;
std::unique_ptr<TestCertificates> TlsTest::theirs_;

TEST_P(TlsTest, BothSidesProveWhoTheyAre) {
  Shake shake{.client = ours_->context(), .server = ours_->context(), .name = "localhost"};
  Run(&shake);
  EXPECT_OK(shake.client_status);
  EXPECT_OK(shake.server_status);
  EXPECT_EQ(shake.seen_by_server.common_name, "localhost");
  EXPECT_THAT(shake.seen_by_server.dns_names, ElementsAre("localhost"));
  EXPECT_THAT(shake.seen_by_server.ip_addresses, ElementsAre("127.0.0.1", "::1"));
  EXPECT_EQ(shake.seen_by_server.fingerprint.size(), 64u);
}

TEST_P(TlsTest, OneTimeKeysLetInWhoeverHasThemAndNobodyElse) {
  ASSERT_OK_AND_ASSIGN(const OneTimeKeys keys, MakeOneTimeKeys());
  ASSERT_OK_AND_ASSIGN(const OneTimeKeys others, MakeOneTimeKeys());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const TlsContext> ours, TlsContext::FromKeys(keys));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const TlsContext> again, TlsContext::FromKeys(keys));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<const TlsContext> theirs, TlsContext::FromKeys(others));
  Shake good{.client = ours, .server = again, .name = kOneTimeName};
  Run(&good);
  EXPECT_OK(good.client_status);
  EXPECT_OK(good.server_status);
  for (const auto& [client, server] :
       {std::pair(ours, theirs), std::pair(theirs, ours), std::pair(ours_->context(), ours)}) {
    Shake bad{.client = client, .server = server, .name = kOneTimeName};
    Run(&bad);
    EXPECT_THAT(bad.client_status, StatusIs(absl::StatusCode::kUnauthenticated));
    EXPECT_FALSE(bad.server_status.ok());
  }
  Shake renamed{.client = ours, .server = again, .name = "localhost"};
  Run(&renamed);
  EXPECT_THAT(renamed.client_status, StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_P(TlsTest, WhatIsNoKeyIsRefused) {
  ASSERT_OK_AND_ASSIGN(const OneTimeKeys keys, MakeOneTimeKeys());
  ASSERT_OK_AND_ASSIGN(const OneTimeKeys others, MakeOneTimeKeys());
  const OneTimeKeys bad[] = {
      {}, {keys.certificate, ""}, {"", keys.key}, {keys.certificate, others.key}, {keys.key, keys.certificate}};
  for (const OneTimeKeys& one : bad)
    EXPECT_THAT(TlsContext::FromKeys(one).status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_P(TlsTest, AServerWithAnotherNameIsRefused) {
  for (const std::string name : {"other.example", "10.9.8.7"}) {
    Shake shake{.client = ours_->context(), .server = ours_->context(), .name = name};
    Run(&shake);
    EXPECT_THAT(shake.client_status,
                StatusIs(absl::StatusCode::kUnauthenticated,
                         AllOf(HasSubstr("is for localhost, 127.0.0.1, ::1, not for '" + name + "'"),
                               HasSubstr("certs init"))));
    EXPECT_THAT(shake.server_status,
                StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("refused the TLS connection")));
  }
}

TEST_P(TlsTest, AClientOfAnotherAuthorityIsRefused) {
  // The client trusts the server's authority, but was issued by another one.
  const TlsFiles mixed{theirs_->files().certificate, theirs_->files().key, ours_->files().authority};
  ASSERT_OK_AND_ASSIGN(auto client, TlsContext::Load(mixed));
  Shake shake{.client = client, .server = ours_->context()};
  Run(&shake);
  EXPECT_THAT(shake.server_status,
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("issued by another authority")));
  EXPECT_THAT(shake.client_status,
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("does not know the authority")));
}

TEST_P(TlsTest, AServerOfAnotherAuthorityIsRefused) {
  Shake shake{.client = ours_->context(), .server = theirs_->context()};
  Run(&shake);
  EXPECT_THAT(shake.client_status,
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("issued by another authority")));
  EXPECT_THAT(shake.server_status,
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("does not know the authority")));
}

TEST_P(TlsTest, AnExpiredClientIsToldSo) {
  Shake shake{.client = Expired(), .server = ours_->context()};
  Run(&shake);
  EXPECT_THAT(shake.server_status, StatusIs(absl::StatusCode::kUnauthenticated,
                                            AllOf(HasSubstr("has expired on 20"), HasSubstr("certs init"))));
  EXPECT_THAT(shake.client_status, StatusIs(absl::StatusCode::kUnauthenticated,
                                            AllOf(HasSubstr("our certificate has expired"), HasSubstr("certs init"))));
}

TEST_P(TlsTest, AnExpiredServerIsRefusedWithItsDate) {
  Shake shake{.client = ours_->context(), .server = Expired()};
  Run(&shake);
  EXPECT_THAT(shake.client_status, StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("has expired on 20")));
}

Task<void> PlainClient(Driver* driver, uint16_t port, bool silent, absl::StatusOr<size_t>* out) {
  absl::StatusOr<std::unique_ptr<Stream>> stream = co_await Connect(driver, {.host = "127.0.0.1", .port = port});
  EXPECT_OK(stream);
  if (!stream.ok()) co_return;
  const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::array<ConstBytes, 1> parts = {std::as_bytes(std::span<const char>(text.data(), text.size()))};
  if (!silent) EXPECT_OK(co_await (*stream)->WriteAll(parts, kPatience));
  std::array<std::byte, 64> answer{};
  *out = co_await (*stream)->Read(answer, kPatience);
}

Task<void> AcceptPlain(Driver* driver, std::shared_ptr<const TlsContext> context, bool silent, Timeout timeout,
                       absl::Status* out) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = co_await Listener::Listen(driver, {.host = "127.0.0.1"});
  EXPECT_OK(listener);
  if (!listener.ok()) co_return;
  Scope scope;
  absl::StatusOr<size_t> seen = size_t{0};
  scope.Spawn(PlainClient(driver, (*listener)->port(), silent, &seen));
  absl::StatusOr<AcceptedSocket> socket = co_await (*listener)->Accept();
  if (socket.ok()) {
    std::unique_ptr<Stream> stream = TcpStream::Adopt(driver, std::move(*socket));
    absl::StatusOr<std::unique_ptr<Stream>> secured = co_await TlsAccept(std::move(stream), context, timeout);
    *out = secured.status();
  }
  co_await scope.Join();
}

TEST_P(TlsTest, APeerThatDoesNotSpeakTlsIsSaidToBeOne) {
  absl::Status status;
  BlockOn(&runtime_->shard(0), AcceptPlain(driver(), ours_->context(), false, kPatience, &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("does not speak TLS")));
}

TEST_P(TlsTest, ASilentPeerRunsIntoTheHandshakeDeadline) {
  absl::Status status;
  BlockOn(&runtime_->shard(0), AcceptPlain(driver(), ours_->context(), true, std::chrono::milliseconds(50), &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("TLS handshake")));
}

Task<void> CutWithoutCloseNotify(Driver* driver, std::shared_ptr<const TlsContext> context,
                                 absl::StatusOr<size_t>* out) {
  absl::StatusOr<StreamPair> pair = co_await MakeStreamPair(driver, StreamKind::kTls, context);
  EXPECT_OK(pair);
  if (!pair.ok()) co_return;
  // A plain FIN, as a killed process leaves behind.
  pair->server->Shutdown();
  std::byte byte{};
  *out = co_await pair->client->Read({&byte, 1}, kPatience);
}

TEST_P(TlsTest, AnEndWithoutCloseNotifyIsACut) {
  absl::StatusOr<size_t> read = size_t{1};
  BlockOn(&runtime_->shard(0), CutWithoutCloseNotify(driver(), ours_->context(), &read));
  EXPECT_THAT(read, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("was cut")));
}

Task<void> SendMuch(Stream* stream) {
  const std::vector<std::byte> bytes(1 << 20);
  const std::array<ConstBytes, 1> parts = {ConstBytes(bytes)};
  (void)co_await stream->WriteAll(parts, kPatience);
}

Task<void> ThroughRelay(Driver* driver, std::shared_ptr<const TlsContext> context, RelayOptions options,
                        absl::Status* out) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = co_await Listener::Listen(driver, {.host = "127.0.0.1"});
  if (!listener.ok()) co_return;
  TcpRelay relay((*listener)->port(), options);
  Scope scope;
  Shake shake{.server = context};
  absl::StatusOr<std::unique_ptr<Stream>> plain = co_await Connect(driver, {.host = "127.0.0.1", .port = relay.port()});
  absl::StatusOr<AcceptedSocket> socket = co_await (*listener)->Accept();
  if (!plain.ok() || !socket.ok()) co_return;
  absl::StatusOr<std::unique_ptr<Stream>> server = absl::UnknownError("none");
  struct Accepting {
    static Task<void> Do(std::unique_ptr<Stream> stream, std::shared_ptr<const TlsContext> tls,
                         absl::StatusOr<std::unique_ptr<Stream>>* into) {
      *into = co_await TlsAccept(std::move(stream), tls, kPatience);
    }
  };
  scope.Spawn(Accepting::Do(TcpStream::Adopt(driver, std::move(*socket)), context, &server));
  absl::StatusOr<std::unique_ptr<Stream>> client =
      co_await TlsConnect(*std::move(plain), context, "127.0.0.1", kPatience);
  co_await scope.Join();
  if (!client.ok() || !server.ok()) {
    *out = client.ok() ? server.status() : client.status();
    co_return;
  }
  scope.Spawn(SendMuch(server->get()));
  std::vector<std::byte> buffer(1 << 20);
  *out = co_await ReadExactly(client->get(), buffer, Deadline(kPatience));
  (*server)->Shutdown();
  co_await scope.Join();
}

TEST_P(TlsTest, ASlowWayIsOnlySlow) {
  absl::Status status;
  BlockOn(&runtime_->shard(0),
          ThroughRelay(driver(), ours_->context(),
                       {.delay = std::chrono::milliseconds(3), .bytes_per_second = 64 << 20}, &status));
  EXPECT_OK(status);
}

TEST_P(TlsTest, AFlippedBitEndsTheConnection) {
  absl::Status status;
  BlockOn(&runtime_->shard(0), ThroughRelay(driver(), ours_->context(), {.corrupt_reply_byte = 500'000}, &status));
  EXPECT_FALSE(status.ok());
}

TEST_P(TlsTest, AResetInTheMiddleIsUnavailable) {
  absl::Status status;
  BlockOn(&runtime_->shard(0), ThroughRelay(driver(), ours_->context(), {.reset_after_bytes = 300'000}, &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable));
}

INSTANTIATE_TEST_SUITE_P(Backends, TlsTest, testing::Values(IoBackend::kUring, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "Uring" : "Threads"; });

}  // namespace
}  // namespace uringsync
