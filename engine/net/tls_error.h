// Why a TLS connection failed, in words that say what to do. Inside engine/net only.
//
// Thread rule: the stream's shard (OpenSSL's error queue is the thread's).
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "absl/status/status.h"

namespace uringsync::openssl {

// What the verification of a peer's chain stumbled over; filled by VerifyCallback.
struct VerifyFailure {
  int code = X509_V_OK;
  std::string names;    // of the certificate at fault, escaped
  std::string subject;  // escaped
  std::string issuer;   // escaped
  int64_t not_before = 0;
  int64_t not_after = 0;
};

// What the verification that has just failed stumbled over.
VerifyFailure FailureOf(X509_STORE_CTX* store);

// For SSL_set_verify; the SSL's app data is the VerifyFailure to fill.
int VerifyCallback(int ok, X509_STORE_CTX* store);

// Unauthenticated, in words for that failure.
absl::Status RefusedCertificate(const VerifyFailure& verify, const std::string& peer, const std::string& expected_host);

// Unauthenticated, in words for that alert of the peer's (RFC 8446, section 6).
absl::Status AlertFailure(int alert, const std::string& peer);

// Unauthenticated for refusals, Unavailable for the rest. Empties the error queue. `peer` is an address,
// `expected_host` is empty on the server side.
absl::Status TlsFailure(const VerifyFailure& verify, const std::string& peer, const std::string& expected_host);

}  // namespace uringsync::openssl
