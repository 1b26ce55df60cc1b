#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/semaphore.h"
#include "engine/net/address.h"
#include "engine/net/openssl_util.h"
#include "engine/net/tls.h"
#include "engine/net/tls_buffers.h"
#include "engine/net/tls_error.h"
#include "engine/net/x509_info.h"

namespace uringsync {

namespace {

constexpr size_t kRecordBytes = 16384;
// A record of TLS 1.3 adds 22 bytes; the rest leaves room for a key update or an alert behind it.
constexpr size_t kRecordRoom = kRecordBytes + 256;
// Limit for what a reader has to send on the side (key updates, alerts).
constexpr Timeout kSideWriteTimeout = std::chrono::seconds(30);
// After a refused handshake: how long and how much is read on, so that the alert is not lost to a reset.
constexpr Timeout kLingerTimeout = std::chrono::seconds(1);
constexpr size_t kLingerBytes = size_t{64} << 10;

// Invariant: OpenSSL is only called between suspensions, and its error queue is cleared before each call and read right
// after.
class TlsStream final : public Stream {
 public:
  TlsStream(std::unique_ptr<Stream> beneath, std::shared_ptr<const TlsContext> context, std::string expected_host)
      : beneath_(std::move(beneath)), context_(std::move(context)), expected_host_(std::move(expected_host)) {}

  Task<absl::Status> Handshake(bool server, Timeout timeout);

  Task<absl::StatusOr<size_t>> Read(std::span<std::byte> into, Timeout timeout) override;
  Task<absl::Status> WriteAll(std::span<const ConstBytes> parts, Timeout timeout) override;
  Task<absl::Status> EndWrites(Timeout timeout) override;
  void Shutdown() override { beneath_->Shutdown(); }
  const std::string& peer_address() const override { return beneath_->peer_address(); }
  const PeerIdentity* peer_identity() const override { return &identity_; }
  uint64_t bytes_read() const override { return beneath_->bytes_read(); }
  uint64_t bytes_written() const override { return beneath_->bytes_written(); }

 private:
  absl::Status SetUp(bool server);
  Task<absl::Status> RunHandshake(Deadline deadline);
  Task<absl::Status> Receive(Deadline deadline);
  Task<absl::Status> Flush(Deadline deadline);
  Task<absl::Status> Encrypt(ConstBytes bytes, Deadline deadline);
  Task<void> Linger();
  absl::Status Failure() { return openssl::TlsFailure(verify_failure_, peer_address(), expected_host_); }

  const std::unique_ptr<Stream> beneath_;
  const std::shared_ptr<const TlsContext> context_;
  const std::string expected_host_;  // empty on the server side
  openssl::VerifyFailure verify_failure_;
  openssl::TlsBuffers buffers_;
  openssl::SslPtr ssl_;  // after what it refers to
  PeerIdentity identity_;
  Semaphore flushing_{1};
  std::unique_ptr<std::byte[]> gather_{new std::byte[kRecordBytes]};
  absl::Status read_error_;   // sticky
  absl::Status write_error_;  // sticky
  bool read_ended_ = false;
};

absl::Status TlsStream::SetUp(bool server) {
  ERR_clear_error();
  ssl_.reset(SSL_new(context_->native()));
  BIO* bio = ssl_ ? buffers_.MakeBio() : nullptr;
  if (bio == nullptr) return absl::InternalError("make a TLS connection: " + openssl::TakeError());
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), &verify_failure_);
  SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, openssl::VerifyCallback);
  if (server) {
    SSL_set_accept_state(ssl_.get());
    return absl::OkStatus();
  }
  if (expected_host_.empty()) {
    return absl::InvalidArgumentError("TLS needs the name that the server's certificate must have");
  }
  SSL_set_connect_state(ssl_.get());
  X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  bool set = false;
  if (IsIpLiteral(expected_host_)) {
    set = X509_VERIFY_PARAM_set1_ip_asc(verify, expected_host_.c_str()) == 1;
  } else {
    set = X509_VERIFY_PARAM_set1_host(verify, expected_host_.c_str(), expected_host_.size()) == 1 &&
          SSL_set_tlsext_host_name(ssl_.get(), expected_host_.c_str()) == 1;
  }
  if (!set) return absl::InvalidArgumentError("TLS cannot check the host name: " + openssl::TakeError());
  return absl::OkStatus();
}

Task<absl::Status> TlsStream::Handshake(bool server, Timeout timeout) {
  US_CO_RETURN_IF_ERROR(SetUp(server));
  absl::Status status = co_await RunHandshake(Deadline(timeout));
  if (!status.ok()) {
    if (absl::IsUnauthenticated(status)) co_await Linger();
    Shutdown();
    co_return status;
  }
  openssl::X509Ptr certificate(SSL_get1_peer_certificate(ssl_.get()));
  if (!certificate || SSL_get_verify_result(ssl_.get()) != X509_V_OK) {
    Shutdown();
    co_return absl::UnauthenticatedError(peer_address() + " showed no valid certificate");
  }
  identity_ = openssl::IdentityOf(certificate.get());
  co_return absl::OkStatus();
}

Task<absl::Status> TlsStream::RunHandshake(Deadline deadline) {
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
      co_return absl::UnavailableError(peer_address() +
                                       " closed the connection during the TLS handshake; its log says why");
    }
    if (!received.ok()) co_return WithContext(received, "TLS handshake");
  }
}

// A close with unread input resets the connection, and the reset can overtake the alert that tells the peer why.
Task<void> TlsStream::Linger() {
  const Deadline deadline(kLingerTimeout);
  absl::Status ended = co_await beneath_->EndWrites(kLingerTimeout);
  size_t seen = 0;
  while (ended.ok() && seen < kLingerBytes && !deadline.expired()) {
    absl::StatusOr<size_t> n = co_await beneath_->Read(buffers_.ReceiveSpace(), deadline.remaining());
    if (!n.ok() || *n == 0) break;
    seen += *n;
  }
}

// OutOfRange at the end of the stream beneath. Only called when all input was consumed.
Task<absl::Status> TlsStream::Receive(Deadline deadline) {
  absl::StatusOr<size_t> n = co_await beneath_->Read(buffers_.ReceiveSpace(), deadline.remaining());
  if (!n.ok()) co_return n.status();
  if (*n == 0) co_return absl::OutOfRangeError("end of the connection");
  buffers_.Received(*n);
  co_return absl::OkStatus();
}

// Sends all ciphertext there is. Whoever comes second finds its bytes sent by the first, or sends them itself.
Task<absl::Status> TlsStream::Flush(Deadline deadline) {
  if (buffers_.unsent() == 0 && write_error_.ok()) co_return absl::OkStatus();
  SemaphoreUnits lock = co_await flushing_.Acquire(1);
  while (write_error_.ok() && buffers_.unsent() > 0) {
    const std::array<ConstBytes, 1> part = {buffers_.TakeForSending()};
    absl::Status sent = co_await beneath_->WriteAll(part, deadline.remaining());
    if (!sent.ok()) write_error_ = std::move(sent);
  }
  co_return write_error_;
}

Task<absl::StatusOr<size_t>> TlsStream::Read(std::span<std::byte> into, Timeout timeout) {
  const Deadline deadline(timeout);
  while (true) {
    if (!read_error_.ok()) co_return read_error_;
    if (read_ended_) co_return size_t{0};
    size_t total = 0;
    int error = SSL_ERROR_NONE;
    while (total < into.size() && error == SSL_ERROR_NONE) {
      size_t n = 0;
      ERR_clear_error();
      const int rc = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &n);
      if (rc == 1) {
        total += n;
      } else {
        error = SSL_get_error(ssl_.get(), rc);
      }
    }
    if (error == SSL_ERROR_ZERO_RETURN) {
      read_ended_ = true;
    } else if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      read_error_ = Failure();
    }
    // A key update that the peer asked for, or the alert of a failure. A writer that is sending takes it along (waiting
    // for it could last until the peer reads, which may wait for us). A write error is the writer's to report.
    if (buffers_.unsent() > 0 && flushing_.available() > 0) (void)co_await Flush(Deadline(kSideWriteTimeout));
    if (total > 0) co_return total;
    if (error != SSL_ERROR_WANT_READ) continue;
    absl::Status received = co_await Receive(deadline);
    if (absl::IsOutOfRange(received)) {
      read_error_ =
          absl::UnavailableError("the connection to " + peer_address() +
                                 " was cut: it ended without the end of TLS (the peer died, or the network cut it)");
    } else if (!received.ok()) {
      co_return received;
    }
  }
}

// Encrypts as much as fits, sends, and so on. Everything but the last part of it is on the way afterwards.
Task<absl::Status> TlsStream::Encrypt(ConstBytes bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (!write_error_.ok()) co_return write_error_;
    const size_t records = buffers_.space() / kRecordRoom;
    if (records == 0) {
      US_CO_RETURN_IF_ERROR(co_await Flush(deadline));
      continue;
    }
    size_t n = 0;
    ERR_clear_error();
    const int rc = SSL_write_ex(ssl_.get(), bytes.data(), std::min(bytes.size(), records * kRecordBytes), &n);
    if (rc == 1) {
      bytes = bytes.subspan(n);
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), rc);
    if (error == SSL_ERROR_WANT_WRITE) {
      US_CO_RETURN_IF_ERROR(co_await Flush(deadline));
      continue;
    }
    // TLS 1.3 never has to read in order to write once the handshake is done.
    write_error_ = Failure();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> TlsStream::WriteAll(std::span<const ConstBytes> parts, Timeout timeout) {
  const Deadline deadline(timeout);
  size_t gathered = 0;
  for (ConstBytes part : parts) {
    // Small parts share a record with the start of what follows them.
    while (!part.empty() && (gathered > 0 || part.size() < kRecordBytes)) {
      const size_t n = std::min(part.size(), kRecordBytes - gathered);
      std::memcpy(gather_.get() + gathered, part.data(), n);
      gathered += n;
      part = part.subspan(n);
      if (gathered < kRecordBytes) continue;
      US_CO_RETURN_IF_ERROR(co_await Encrypt(ConstBytes(gather_.get(), std::exchange(gathered, 0)), deadline));
    }
    US_CO_RETURN_IF_ERROR(co_await Encrypt(part, deadline));
  }
  US_CO_RETURN_IF_ERROR(co_await Encrypt(ConstBytes(gather_.get(), gathered), deadline));
  co_return co_await Flush(deadline);
}

Task<absl::Status> TlsStream::EndWrites(Timeout timeout) {
  const Deadline deadline(timeout);
  if (!write_error_.ok()) co_return write_error_;
  ERR_clear_error();
  if (SSL_shutdown(ssl_.get()) < 0) co_return Failure();
  US_CO_RETURN_IF_ERROR(co_await Flush(deadline));
  co_return co_await beneath_->EndWrites(deadline.remaining());
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> Shake(std::unique_ptr<TlsStream> stream, bool server, Timeout timeout) {
  US_CO_RETURN_IF_ERROR(co_await stream->Handshake(server, timeout));
  co_return std::unique_ptr<Stream>(std::move(stream));
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<Stream>>> TlsConnect(std::unique_ptr<Stream> beneath,
                                                         std::shared_ptr<const TlsContext> context,
                                                         std::string expected_host, Timeout timeout) {
  return Shake(std::make_unique<TlsStream>(std::move(beneath), std::move(context), std::move(expected_host)), false,
               timeout);
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> TlsAccept(std::unique_ptr<Stream> beneath,
                                                        std::shared_ptr<const TlsContext> context, Timeout timeout) {
  return Shake(std::make_unique<TlsStream>(std::move(beneath), std::move(context), ""), true, timeout);
}

}  // namespace uringsync
