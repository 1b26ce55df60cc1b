// TLS 1.3 with mutual authentication over a Stream.
//
// TlsContext: certificate, key and authority of this process; immutable, thread-safe, shared by all connections.
// TlsConnect / TlsAccept: the handshake; they give a Stream that owns the one beneath. An SSL object belongs to the
// stream's shard.
//
// Use:  US_ASSIGN_OR_RETURN(auto context, TlsContext::Load({"agent.crt", "agent.key", "ca.crt"}));
//       for (const std::string& warning : context->warnings()) Log(warning);
//       US_CO_ASSIGN_OR_RETURN(stream, co_await TlsConnect(std::move(stream), context, "host.example",
//       kTlsHandshakeTimeout));
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/net/certificates.h"
#include "engine/net/stream.h"

typedef struct ssl_ctx_st SSL_CTX;

namespace uringsync {

constexpr Timeout kTlsHandshakeTimeout = std::chrono::seconds(15);
// Ciphertext that one direction of a connection holds: what one send or one receive carries at most. A piece of a large
// file, its header and what encryption adds fit.
constexpr size_t kTlsBufferBytes = size_t{288} << 10;

// PEM files. The certificate file may hold the chain after the leaf; the authority file may hold several.
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string authority;
};

struct TlsLoadOptions {
  // Refuse to load an own certificate that is expired or not valid yet. Tests switch it off to meet a peer's refusal.
  bool check_dates = true;
};

class TlsContext {
 public:
  // Errors name the file and what to do: NotFound (missing), PermissionDenied (unreadable), InvalidArgument (no PEM in
  // it, key does not belong to the certificate), FailedPrecondition (expired, with its date, or not valid yet).
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Load(TlsFiles files, TlsLoadOptions options = {});
  // Of a run that has keys of its own: it trusts that one certificate and nobody else. InvalidArgument for what is
  // none.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> FromKeys(const OneTimeKeys& keys);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Lines for the log: key readable by others, certificate that the authority did not sign, expiry within 14 days.
  const std::vector<std::string>& warnings() const { return warnings_; }
  SSL_CTX* native() const { return context_; }

 private:
  TlsContext(SSL_CTX* context, std::vector<std::string> warnings) : context_(context), warnings_(std::move(warnings)) {}
  SSL_CTX* context_;
  std::vector<std::string> warnings_;
};

// Client side: the server's chain must end at the authority and its certificate must name `expected_host` (DNS name or
// IP literal). Server side: the client must show a certificate that the authority signed. On an error the connection is
// closed. Unauthenticated: the peer's certificate was refused, or the peer refused ours: the text says which, why and
// what to do. DeadlineExceeded, Unavailable as for streams. In TLS 1.3 a server's refusal reaches the client with its
// first Read.
Task<absl::StatusOr<std::unique_ptr<Stream>>> TlsConnect(std::unique_ptr<Stream> beneath,
                                                         std::shared_ptr<const TlsContext> context,
                                                         std::string expected_host, Timeout timeout);
Task<absl::StatusOr<std::unique_ptr<Stream>>> TlsAccept(std::unique_ptr<Stream> beneath,
                                                        std::shared_ptr<const TlsContext> context, Timeout timeout);

}  // namespace uringsync
