#include "engine/net/tls_handshake.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <chrono>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/net/address.h"
#include "engine/net/openssl_util.h"
#include "engine/net/tls_error.h"
#include "engine/net/x509_info.h"

namespace uringsync::openssl {
namespace {

// After a refused handshake: how long and how much is read on, so that the alert is not lost to a reset.
constexpr Timeout kLingerTimeout = std::chrono::seconds(1);
constexpr size_t kLingerBytes = size_t{64} << 10;

// Invariant: OpenSSL is only called between suspensions, and its error queue is cleared before each call and read right
// after.
class Handshake {
 public:
  explicit Handshake(TlsShake shake) : shake_(std::move(shake)) {}
  absl::Status SetUp();
  Task<absl::Status> Run();
  Task<void> Linger();
  // What a handshake that went well agreed on.
  absl::StatusOr<TlsEstablished> Result();

 private:
  Task<absl::Status> Flush(Deadline deadline);
  Task<absl::Status> Receive(Deadline deadline);
  absl::Status SetExpectedHost();
  const std::string& peer() const { return shake_.beneath->peer_address(); }
  absl::Status Failure() { return TlsFailure(verify_failure_, peer(), shake_.expected_host); }

  const TlsShake shake_;
  VerifyFailure verify_failure_;
  TlsSecrets secrets_;
  SslPtr ssl_;  // after what it refers to
};

absl::Status Handshake::SetUp() {
  ERR_clear_error();
  ssl_.reset(SSL_new(shake_.context->native()));
  BIO* bio = ssl_ ? shake_.buffers->MakeBio() : nullptr;
  if (bio == nullptr || !SetSecretsOf(ssl_.get(), &secrets_)) {
    return absl::InternalError("make a TLS connection: " + TakeError());
  }
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), &verify_failure_);
  SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, VerifyCallback);
  // What follows the handshake stays in the buffers: it is the record layer's.
  SSL_set_read_ahead(ssl_.get(), 0);
  if (!shake_.server) return SetExpectedHost();
  SSL_set_accept_state(ssl_.get());
  return absl::OkStatus();
}

absl::Status Handshake::SetExpectedHost() {
  const std::string& host = shake_.expected_host;
  if (host.empty()) return absl::InvalidArgumentError("TLS needs the name that the server's certificate must have");
  SSL_set_connect_state(ssl_.get());
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  bool set = false;
  if (IsIpLiteral(host)) {
    set = X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) == 1;
  } else {
    set = X509_VERIFY_PARAM_set1_host(verify, host.c_str(), host.size()) == 1 &&
          SSL_set_tlsext_host_name(ssl_.get(), host.c_str()) == 1;
  }
  if (!set) return absl::InvalidArgumentError("TLS cannot check the host name: " + TakeError());
  return absl::OkStatus();
}

Task<absl::Status> Handshake::Run() {
  const Deadline deadline(shake_.timeout);
  while (true) {
    ERR_clear_error();
    const int rc = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), rc);
    absl::Status failure;
    if (rc != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) failure = Failure();
    // Also the alert of a failure.
    absl::Status flushed = co_await Flush(deadline);
    if (!failure.ok()) co_return failure;
    if (!flushed.ok()) co_return WithContext(flushed, "TLS handshake");
    if (rc == 1) co_return absl::OkStatus();
    if (error == SSL_ERROR_WANT_WRITE) continue;
    absl::Status received = co_await Receive(deadline);
    if (absl::IsOutOfRange(received)) {
      co_return absl::UnavailableError(peer() + " closed the connection during the TLS handshake; its log says why");
    }
    if (!received.ok()) co_return WithContext(received, "TLS handshake");
  }
}

Task<absl::Status> Handshake::Flush(Deadline deadline) {
  while (shake_.buffers->unsent() > 0) {
    const std::array<ConstBytes, 1> part = {shake_.buffers->TakeForSending()};
    US_CO_RETURN_IF_ERROR(co_await shake_.beneath->WriteAll(part, deadline.remaining()));
  }
  co_return absl::OkStatus();
}

// OutOfRange at the end of the stream beneath.
Task<absl::Status> Handshake::Receive(Deadline deadline) {
  absl::StatusOr<size_t> n = co_await shake_.beneath->Read(shake_.buffers->ReceiveSpace(), deadline.remaining());
  if (!n.ok()) co_return n.status();
  if (*n == 0) co_return absl::OutOfRangeError("end of the connection");
  shake_.buffers->Received(*n);
  co_return absl::OkStatus();
}

// A close with unread input resets the connection, and the reset can overtake the alert that tells the peer why.
Task<void> Handshake::Linger() {
  const Deadline deadline(kLingerTimeout);
  absl::Status ended = co_await shake_.beneath->EndWrites(kLingerTimeout);
  size_t seen = 0;
  while (ended.ok() && seen < kLingerBytes && !deadline.expired()) {
    shake_.buffers->Take(shake_.buffers->input().size());
    absl::StatusOr<size_t> n = co_await shake_.beneath->Read(shake_.buffers->ReceiveSpace(), deadline.remaining());
    if (!n.ok() || *n == 0) break;
    seen += *n;
  }
}

absl::StatusOr<TlsEstablished> Handshake::Result() {
  X509Ptr certificate(SSL_get1_peer_certificate(ssl_.get()));
  if (!certificate || SSL_get_verify_result(ssl_.get()) != X509_V_OK) {
    return absl::UnauthenticatedError(peer() + " showed no valid certificate");
  }
  if (!secrets_.has_client || !secrets_.has_server || SSL_has_pending(ssl_.get()) != 0) {
    return absl::InternalError("OpenSSL kept the keys of a TLS connection, or bytes behind its handshake");
  }
  US_ASSIGN_OR_RETURN(const TlsSuite suite, SuiteOf(ssl_.get()));
  US_ASSIGN_OR_RETURN(TlsSealer sealer, TlsSealer::Make(suite, shake_.server ? secrets_.server : secrets_.client));
  US_ASSIGN_OR_RETURN(TlsOpener opener, TlsOpener::Make(suite, shake_.server ? secrets_.client : secrets_.server));
  return TlsEstablished{IdentityOf(certificate.get()), std::move(sealer), std::move(opener)};
}

}  // namespace

Task<absl::StatusOr<TlsEstablished>> ShakeHands(TlsShake shake) {
  Handshake handshake(std::move(shake));
  US_CO_RETURN_IF_ERROR(handshake.SetUp());
  absl::Status status = co_await handshake.Run();
  if (absl::IsUnauthenticated(status)) co_await handshake.Linger();
  if (!status.ok()) co_return status;
  co_return handshake.Result();
}

}  // namespace uringsync::openssl
