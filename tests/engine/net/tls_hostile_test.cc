// What a peer may do wrong behind the handshake: a client of OpenSSL's that seals records of its own.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "engine/net/listener.h"
#include "engine/net/openssl_util.h"
#include "engine/net/tls.h"
#include "engine/net/tls_records.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/stream_pair.h"

namespace uringsync {
namespace {

using openssl::TlsContent;
using testing::AllOf;
using testing::HasSubstr;

constexpr Timeout kPatience = std::chrono::seconds(20);
using Bytes = std::vector<std::byte>;

Bytes Make(std::initializer_list<int> values) {
  Bytes bytes;
  for (int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

// The client's end after its handshake.
class RawPeer {
 public:
  RawPeer(int fd, openssl::TlsSealer sealer, openssl::TlsOpener opener)
      : fd_(fd), sealer_(std::move(sealer)), opener_(std::move(opener)) {}
  void Send(TlsContent type, const Bytes& contents) {
    Bytes record(contents.size() + openssl::kTlsOverheadBytes);
    const std::array<ConstBytes, 1> parts = {ConstBytes(contents)};
    EXPECT_OK(sealer_.Seal(type, parts, record.data()));
    SendRaw(record);
  }
  void SendRaw(const Bytes& bytes) { (void)!::write(fd_, bytes.data(), bytes.size()); }
  void SendKeyUpdate() {
    Bytes record(openssl::TlsSealer::kKeyUpdateBytes);
    EXPECT_OK(sealer_.SealKeyUpdate(record.data()));
    SendRaw(record);
  }
  // Type and contents of the next record; empty at the end.
  Bytes Receive(TlsContent* type) {
    Bytes record(openssl::kTlsHeaderBytes);
    if (::recv(fd_, record.data(), record.size(), MSG_WAITALL) != static_cast<ssize_t>(record.size())) return {};
    absl::StatusOr<size_t> length = openssl::TlsOpener::LengthOf(ConstBytes(record).first<openssl::kTlsHeaderBytes>());
    if (!length.ok()) return {};
    record.resize(*length);
    const size_t rest = *length - openssl::kTlsHeaderBytes;
    if (::recv(fd_, record.data() + openssl::kTlsHeaderBytes, rest, MSG_WAITALL) != static_cast<ssize_t>(rest))
      return {};
    Bytes contents(openssl::kTlsMaxBodyBytes);
    absl::StatusOr<openssl::TlsOpened> opened = opener_.Open(record, contents, {});
    EXPECT_OK(opened.status());
    if (!opened.ok()) return {};
    *type = opened->type;
    contents.resize(opened->length);
    return contents;
  }
  // The alert that the other side ends with; -1 when none came.
  int AwaitAlert() {
    TlsContent type{};
    for (Bytes got = Receive(&type); !got.empty(); got = Receive(&type)) {
      if (type == TlsContent::kAlert) return std::to_integer<int>(got.at(1));
    }
    return -1;
  }

 private:
  int fd_;
  openssl::TlsSealer sealer_;
  openssl::TlsOpener opener_;
};

using Act = std::function<void(RawPeer*)>;

void ShakeAndAct(uint16_t port, TlsFiles files, Act act) {
  const openssl::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  openssl::HandOverSecrets(context.get());
  SSL_CTX_load_verify_file(context.get(), files.authority.c_str());
  SSL_CTX_use_certificate_file(context.get(), files.certificate.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM);
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const openssl::SslPtr ssl(SSL_new(context.get()));
  openssl::TlsSecrets secrets;
  ASSERT_TRUE(openssl::SetSecretsOf(ssl.get(), &secrets));
  SSL_set_fd(ssl.get(), fd.get());
  ASSERT_EQ(SSL_connect(ssl.get()), 1);
  ASSERT_OK_AND_ASSIGN(const openssl::TlsSuite suite, openssl::SuiteOf(ssl.get()));
  ASSERT_OK_AND_ASSIGN(openssl::TlsSealer sealer, openssl::TlsSealer::Make(suite, secrets.client));
  ASSERT_OK_AND_ASSIGN(openssl::TlsOpener opener, openssl::TlsOpener::Make(suite, secrets.server));
  RawPeer peer(fd.get(), std::move(sealer), std::move(opener));
  act(&peer);
}

Task<void> Listen(Driver* driver, absl::StatusOr<std::unique_ptr<Listener>>* out) {
  *out = co_await Listener::Listen(driver, {.host = "127.0.0.1"});
}

// Accepts one connection and reads to its end.
Task<void> ReadAll(Driver* driver, std::unique_ptr<Listener> listener, std::shared_ptr<const TlsContext> context,
                   Bytes* into, absl::Status* out) {
  absl::StatusOr<AcceptedSocket> socket = co_await listener->Accept();
  if (!socket.ok()) co_return;
  absl::StatusOr<std::unique_ptr<Stream>> stream =
      co_await TlsAccept(TcpStream::Adopt(driver, std::move(*socket)), context, kPatience);
  *out = stream.status();
  if (!stream.ok()) co_return;
  Bytes buffer(1000);
  while (true) {
    absl::StatusOr<size_t> n = co_await (*stream)->Read(buffer, kPatience);
    *out = n.status();
    if (!n.ok() || *n == 0) break;
    into->insert(into->end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
  }
  // Nothing can be written behind a fatal alert.
  const std::array<ConstBytes, 1> parts = {ConstBytes(buffer)};
  absl::Status written = co_await (*stream)->WriteAll(parts, kPatience);
  if (out->ok()) {
    EXPECT_OK(written);
    EXPECT_OK(co_await (*stream)->EndWrites(kPatience));
  } else {
    EXPECT_FALSE(written.ok());
  }
}

class TlsHostileTest : public testing::Test {
 protected:
  // What our end says when the client acts so; what it read is in read_.
  absl::Status Serve(Act act) {
    Shard& shard = runtime_->shard(0);
    absl::StatusOr<std::unique_ptr<Listener>> listener = absl::UnknownError("none");
    BlockOn(&shard, Listen(shard.driver(), &listener));
    EXPECT_OK(listener);
    std::thread thread([&, port = (*listener)->port()] { ShakeAndAct(port, certificates_.files(), act); });
    absl::Status status = absl::UnknownError("not run");
    read_.clear();
    BlockOn(&shard, ReadAll(shard.driver(), *std::move(listener), certificates_.context(), &read_, &status));
    thread.join();
    return status;
  }
  // The client sends `contents` as records of that type and gets that alert.
  void ExpectRefusal(TlsContent type, Bytes contents, int alert, const std::string& words) {
    int seen = -1;
    EXPECT_THAT(Serve([&](RawPeer* peer) {
                  peer->Send(type, contents);
                  seen = peer->AwaitAlert();
                }),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr(words)));
    EXPECT_EQ(seen, alert) << words;
  }

  TestCertificates certificates_;
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime();
  Bytes read_;
};

TEST_F(TlsHostileTest, WhatIsOutOfPlaceIsRefusedWithAnAlert) {
  ExpectRefusal(TlsContent::kHandshake, Make({1, 0, 0, 0}), SSL_AD_UNEXPECTED_MESSAGE, "out of place");
  ExpectRefusal(TlsContent::kHandshake, Make({4, 0, 0, 0}), SSL_AD_UNEXPECTED_MESSAGE, "out of place");
  ExpectRefusal(TlsContent::kHandshake, Make({24, 0, 0, 1, 2}), SSL_AD_UNEXPECTED_MESSAGE, "malformed key update");
  ExpectRefusal(TlsContent::kHandshake, Make({24, 0, 0, 1, 0, 24}), SSL_AD_UNEXPECTED_MESSAGE, "malformed key update");
  ExpectRefusal(TlsContent::kHandshake, Make({24, 1, 0, 0}), SSL_AD_DECODE_ERROR, "too long");
  ExpectRefusal(TlsContent::kAlert, Make({1}), SSL_AD_DECODE_ERROR, "alert of a wrong length");
  ExpectRefusal(TlsContent::kHandshake, {}, SSL_AD_UNEXPECTED_MESSAGE, "wrong type");
  ExpectRefusal(TlsContent{20}, Make({1}), SSL_AD_UNEXPECTED_MESSAGE, "wrong type");
  ExpectRefusal(TlsContent{0}, Bytes(10), SSL_AD_UNEXPECTED_MESSAGE, "without a type");
}

TEST_F(TlsHostileTest, WhatIsNoRecordOrWasChangedIsRefusedWithAnAlert) {
  int alert = -1;
  EXPECT_THAT(Serve([&](RawPeer* peer) {
                peer->SendRaw(Make({22, 3, 3, 0, 40}));
                alert = peer->AwaitAlert();
              }),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no encrypted record")));
  EXPECT_EQ(alert, SSL_AD_UNEXPECTED_MESSAGE);
  EXPECT_THAT(Serve([&](RawPeer* peer) {
                Bytes record = Make({23, 3, 3, 0, 40});
                record.resize(45);
                peer->SendRaw(record);
                alert = peer->AwaitAlert();
              }),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("changed on its way")));
  EXPECT_EQ(alert, SSL_AD_BAD_RECORD_MAC);
}

TEST_F(TlsHostileTest, RecordsThatAreTooLongAreRefusedWithAnAlertOfTheirOwn) {
  int alert = -1;
  EXPECT_THAT(Serve([&](RawPeer* peer) {
                peer->SendRaw(Make({23, 3, 3, 0x41, 1}));
                alert = peer->AwaitAlert();
              }),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("too long")));
  EXPECT_EQ(alert, SSL_AD_RECORD_OVERFLOW);
  // Its length on the wire is permitted, what is in it is a byte too much.
  Bytes padded = Make({'a', 23});
  padded.resize(openssl::kTlsPlainBytes + 1);
  ExpectRefusal(TlsContent{0}, padded, SSL_AD_RECORD_OVERFLOW, "too long");
}

TEST_F(TlsHostileTest, ContentsInTheMiddleOfAMessageAreRefused) {
  int alert = -1;
  EXPECT_THAT(Serve([&](RawPeer* peer) {
                peer->Send(TlsContent::kHandshake, Make({24, 0}));
                peer->Send(TlsContent::kApplication, Make({1, 2, 3}));
                alert = peer->AwaitAlert();
              }),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("wrong type")));
  EXPECT_EQ(alert, SSL_AD_UNEXPECTED_MESSAGE);
}

TEST_F(TlsHostileTest, NewKeysWithoutContentsAreNotTakenForEver) {
  int alert = -1;
  EXPECT_THAT(Serve([&](RawPeer* peer) {
                for (int i = 0; i < 33; ++i) peer->SendKeyUpdate();
                alert = peer->AwaitAlert();
              }),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("too many key updates")));
  EXPECT_EQ(alert, SSL_AD_UNEXPECTED_MESSAGE);
}

TEST_F(TlsHostileTest, APeersAlertIsToldInItsWords) {
  EXPECT_THAT(Serve([](RawPeer* peer) { peer->Send(TlsContent::kAlert, Make({2, SSL_AD_CERTIFICATE_EXPIRED})); }),
              StatusIs(absl::StatusCode::kUnauthenticated, AllOf(HasSubstr("refused"), HasSubstr("has expired"))));
}

TEST_F(TlsHostileTest, EmptyAndPaddedAndCutRecordsAreOnlyOdd) {
  int alert = -1;
  EXPECT_OK(Serve([&](RawPeer* peer) {
    peer->Send(TlsContent::kApplication, {});
    peer->SendKeyUpdate();
    Bytes padded = Make({'a', 23});
    padded.resize(3000);
    peer->Send(TlsContent{0}, padded);
    peer->Send(TlsContent::kApplication, Make({'b'}));
    peer->Send(TlsContent::kAlert, Make({1, SSL_AD_USER_CANCELLED}));
    peer->Send(TlsContent::kAlert, Make({1, SSL_AD_CLOSE_NOTIFY}));
    alert = peer->AwaitAlert();
  }));
  EXPECT_EQ(read_, Make({'a', 'b'}));
  EXPECT_EQ(alert, SSL_AD_CLOSE_NOTIFY);
}

}  // namespace
}  // namespace uringsync
