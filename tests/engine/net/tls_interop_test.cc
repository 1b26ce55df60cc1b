// TLS against a plain blocking OpenSSL client on a thread: what our own two ends never do to each other.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "engine/net/listener.h"
#include "engine/net/openssl_util.h"
#include "engine/net/tls.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/stream_pair.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

constexpr Timeout kPatience = std::chrono::seconds(20);
constexpr int kRounds = 50;
constexpr size_t kRoundBytes = 20'000;

UniqueFd ConnectBlocking(uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

openssl::SslCtxPtr MakeContext(const TlsFiles& files, int version, bool with_certificate) {
  openssl::SslCtxPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_max_proto_version(context.get(), version);
  SSL_CTX_load_verify_file(context.get(), files.authority.c_str());
  if (with_certificate) {
    SSL_CTX_use_certificate_file(context.get(), files.certificate.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM);
  }
  return context;
}

// Sends rounds and reads each back, asking for new keys in between; ends with a close_notify.
void TalkWithKeyUpdates(uint16_t port, TlsFiles files, int* rounds_done) {
  const openssl::SslCtxPtr context = MakeContext(files, TLS1_3_VERSION, true);
  const UniqueFd fd = ConnectBlocking(port);
  const openssl::SslPtr ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), fd.get());
  if (SSL_connect(ssl.get()) != 1) return;
  std::string sent(kRoundBytes, 'x');
  std::string back(kRoundBytes, ' ');
  for (int round = 0; round < kRounds; ++round) {
    if (SSL_key_update(ssl.get(), SSL_KEY_UPDATE_REQUESTED) != 1) return;
    sent[0] = static_cast<char>('a' + round % 26);
    if (SSL_write(ssl.get(), sent.data(), static_cast<int>(sent.size())) != static_cast<int>(sent.size())) return;
    size_t got = 0;
    while (got < back.size()) {
      const int n = SSL_read(ssl.get(), back.data() + got, static_cast<int>(back.size() - got));
      if (n <= 0) return;
      got += static_cast<size_t>(n);
    }
    if (back != sent) return;
    ++*rounds_done;
  }
  SSL_shutdown(ssl.get());
  char byte = 0;
  SSL_read(ssl.get(), &byte, 1);
}

// Does nothing but the handshake; a refusal shows at the server.
void ShakeOnly(uint16_t port, TlsFiles files, int version, bool with_certificate) {
  const openssl::SslCtxPtr context = MakeContext(files, version, with_certificate);
  const UniqueFd fd = ConnectBlocking(port);
  const openssl::SslPtr ssl(SSL_new(context.get()));
  // Another program than this one, which speaks TLS 1.3 alone (tls_versions.h).
  SSL_clear_options(ssl.get(), SSL_OP_NO_TLSv1_2);
  SSL_set_min_proto_version(ssl.get(), version);
  SSL_set_fd(ssl.get(), fd.get());
  char byte = 0;
  if (SSL_connect(ssl.get()) == 1) SSL_read(ssl.get(), &byte, 1);
}

Task<void> Listen(Driver* driver, absl::StatusOr<std::unique_ptr<Listener>>* out) {
  *out = co_await Listener::Listen(driver, {.host = "127.0.0.1"});
}

// Accepts one connection and sends back what comes until it ends.
Task<void> Echo(Driver* driver, std::unique_ptr<Listener> listener, std::shared_ptr<const TlsContext> context,
                absl::Status* out) {
  absl::StatusOr<AcceptedSocket> socket = co_await listener->Accept();
  if (!socket.ok()) co_return;
  absl::StatusOr<std::unique_ptr<Stream>> stream =
      co_await TlsAccept(TcpStream::Adopt(driver, std::move(*socket)), context, kPatience);
  *out = stream.status();
  if (!stream.ok()) co_return;
  std::vector<std::byte> buffer(100'000);
  while (true) {
    absl::StatusOr<size_t> n = co_await (*stream)->Read(buffer, kPatience);
    *out = n.status();
    if (!n.ok() || *n == 0) break;
    const std::array<ConstBytes, 1> parts = {ConstBytes(buffer).first(*n)};
    *out = co_await (*stream)->WriteAll(parts, kPatience);
    if (!out->ok()) break;
  }
  (void)co_await (*stream)->EndWrites(kPatience);
}

class TlsInteropTest : public testing::Test {
 protected:
  template <typename Client>
  absl::Status Serve(Client client) {
    Shard& shard = runtime_->shard(0);
    absl::StatusOr<std::unique_ptr<Listener>> listener = absl::UnknownError("none");
    BlockOn(&shard, Listen(shard.driver(), &listener));
    EXPECT_OK(listener);
    std::thread thread([&client, port = (*listener)->port()] { client(port); });
    absl::Status status = absl::UnknownError("not run");
    BlockOn(&shard, Echo(shard.driver(), *std::move(listener), certificates_.context(), &status));
    thread.join();
    return status;
  }
  TestCertificates certificates_;
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime();
};

TEST_F(TlsInteropTest, APeerMayAskForNewKeysAtAnyTime) {
  int rounds = 0;
  EXPECT_OK(Serve([&](uint16_t port) { TalkWithKeyUpdates(port, certificates_.files(), &rounds); }));
  EXPECT_EQ(rounds, kRounds);
}

TEST_F(TlsInteropTest, AClientWithoutACertificateIsRefused) {
  EXPECT_THAT(Serve([&](uint16_t port) { ShakeOnly(port, certificates_.files(), TLS1_3_VERSION, false); }),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("showed no certificate")));
}

TEST_F(TlsInteropTest, Tls12IsRefused) {
  EXPECT_THAT(Serve([&](uint16_t port) { ShakeOnly(port, certificates_.files(), TLS1_2_VERSION, true); }),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("does not speak TLS 1.3")));
}

}  // namespace
}  // namespace uringsync
