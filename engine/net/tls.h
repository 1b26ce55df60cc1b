// TLS 1.3 with mutual authentication over a Stream.
//
// TlsContext: certificate, key, authority and revocation lists of this process; immutable, thread-safe, shared by all
// connections. TlsIdentity (tls_identity.h) keeps one in step with its files.
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

namespace openssl {
class Revocations;
}  // namespace openssl

constexpr Timeout kTlsHandshakeTimeout = std::chrono::seconds(15);
// Ciphertext that one direction of a connection holds: what one send or one receive carries at most. A piece of a large
// file, its header and what encryption adds fit.
constexpr size_t kTlsBufferBytes = size_t{288} << 10;

// PEM files. The certificate file may hold the chain after the leaf; the authority file may hold several, and so may the
// one of revocation lists.
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string authority;
  std::string revocations{};  // empty: none, nobody is revoked
};

// What the files held when they were read.
struct TlsTexts {
  std::string certificate;
  std::string key;
  std::string authority;
  std::string revocations;
};

// What a peer has shown to another TLS library, as PEM: its certificate, and the chain (with or without it).
struct ShownCertificate {
  std::string leaf;
  std::string chain;
};

struct TlsLoadOptions {
  // Refuse to load an own certificate or a revocation list that is expired or not valid yet. Tests switch it off to meet
  // what follows from one.
  bool check_dates = true;
};

class TlsContext {
 public:
  // Errors name the file and what to do: NotFound (missing), PermissionDenied (unreadable), InvalidArgument (no PEM in
  // it, key does not belong to the certificate, a revocation list of another authority), FailedPrecondition (expired,
  // with its date, or not valid yet). All files are read before any of them is judged.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> Load(TlsFiles files, TlsLoadOptions options = {});
  // Of a run that has keys of its own: it trusts that one certificate and nobody else. InvalidArgument for what is
  // none.
  static absl::StatusOr<std::shared_ptr<const TlsContext>> FromKeys(const OneTimeKeys& keys);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Lines for the log: key readable by others, certificate that the authority did not sign, expiry within 14 days.
  const std::vector<std::string>& warnings() const { return warnings_; }
  // "SHA-256 fingerprint, valid until, so many revoked": what is in force, for the log.
  const std::string& summary() const { return summary_; }
  SSL_CTX* native() const { return context_; }
  // Empty with FromKeys.
  const TlsTexts& texts() const { return texts_; }

  // Judges a peer of a connection that another TLS library has made, as a handshake here would: chain, dates, purpose,
  // revocation, and for a server (`expected_host` not empty) its name. Unauthenticated says what is wrong with whose
  // certificate; `peer` is its address.
  absl::Status JudgePeer(const ShownCertificate& shown, const std::string& expected_host, const std::string& peer) const;
  // Whether a list in force has this certificate (PEM); nothing else about it is judged.
  bool Revokes(const std::string& leaf) const;

 private:
  struct Parts;
  TlsContext(SSL_CTX* context, Parts parts);
  SSL_CTX* context_;
  std::vector<std::string> warnings_;
  std::string summary_;
  TlsTexts texts_;
  std::shared_ptr<const openssl::Revocations> revocations_;  // null: none
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
