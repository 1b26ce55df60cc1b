#include "engine/net/tls_error.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/openssl_util.h"
#include "engine/net/x509_info.h"

namespace uringsync::openssl {

namespace {

// The reason codes that OpenSSL gives to alerts from the peer are this plus the alert's number (RFC 8446, section 6).
constexpr int kAlertBase = SSL_AD_REASON_OFFSET;
constexpr int kMaxAlert = 255;

std::string DescribeVerifyFailure(const VerifyFailure& verify, const std::string& peer,
                                  const std::string& expected_host) {
  const std::string whose = "the certificate of " + peer + " (" + verify.subject + ")";
  switch (verify.code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return whose + " has expired on " + FormatUtc(verify.not_after) +
             "; renew it on that host with: uringsync certs init";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return whose + " is not valid before " + FormatUtc(verify.not_before) + "; check the clocks of both hosts";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return whose + " is for " + verify.names + ", not for '" + EscapeName(expected_host) +
             "'; use one of those names, or issue a new one with: uringsync certs init DIR --host " +
             EscapeName(expected_host);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return whose + " was issued by another authority (" + verify.issuer +
             ") than the one trusted here; both sides need certificates of one authority (--ca)";
    case X509_V_ERR_CERT_REVOKED: return whose + " has been revoked by its authority (" + verify.issuer + ")";
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return whose + " was refused: the revocation list of " + verify.issuer +
             " has expired here, so nobody knows who was revoked since; put a new one in its place (--crl)";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
      return whose + " was refused: there is no revocation list of its authority (" + verify.issuer +
             ") here; add that list to the file of --crl";
    case X509_V_ERR_INVALID_PURPOSE:
      return whose + " may not be used for this side of TLS; issue it with: uringsync certs init";
    default: return whose + " was refused: " + X509_verify_cert_error_string(verify.code);
  }
}

std::string DescribeAlert(int alert) {
  switch (alert) {
    case SSL_AD_CERTIFICATE_EXPIRED:
      return "it says that our certificate has expired; renew it with: uringsync certs init";
    case SSL_AD_UNKNOWN_CA:
      return "it does not know the authority of our certificate; both sides need certificates of one authority (--ca)";
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
      return "it does not accept our certificate (wrong host name, purpose or state); its log says why";
    case SSL_AD_CERTIFICATE_REVOKED:
      return "it says that our certificate has been revoked; the authority has to issue a new one (uringsync certs init)";
    case SSL_AD_CERTIFICATE_REQUIRED: return "it wants a certificate; give --cert, --key and --ca";
    case SSL_AD_PROTOCOL_VERSION:
    case SSL_AD_HANDSHAKE_FAILURE: return "it does not speak TLS 1.3 with our cipher suites";
    default: return std::string("alert '") + SSL_alert_desc_string_long(alert) + "'";
  }
}

}  // namespace

VerifyFailure FailureOf(X509_STORE_CTX* store) {
  VerifyFailure failure;
  failure.code = X509_STORE_CTX_get_error(store);
  X509* certificate = X509_STORE_CTX_get_current_cert(store);
  if (certificate == nullptr) return failure;
  const CertificateInfo info = DescribeCertificate(certificate);
  failure.names = NamesOf(info);
  failure.subject = EscapeName(info.subject);
  failure.issuer = EscapeName(info.issuer);
  failure.not_before = info.not_before;
  failure.not_after = info.not_after;
  return failure;
}

int VerifyCallback(int ok, X509_STORE_CTX* store) {
  if (ok == 1) return 1;
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* failure = static_cast<VerifyFailure*>(SSL_get_app_data(ssl));
  if (failure == nullptr || failure->code != X509_V_OK) return 0;
  *failure = FailureOf(store);
  return 0;
}

absl::Status RefusedCertificate(const VerifyFailure& verify, const std::string& peer,
                                const std::string& expected_host) {
  return MakeStatus(absl::StatusCode::kUnauthenticated, DescribeVerifyFailure(verify, peer, expected_host));
}

absl::Status AlertFailure(int alert, const std::string& peer) {
  return MakeStatus(absl::StatusCode::kUnauthenticated, peer + " refused the TLS connection: " + DescribeAlert(alert));
}

absl::Status TlsFailure(const VerifyFailure& verify, const std::string& peer, const std::string& expected_host) {
  const unsigned long error = ERR_peek_last_error();
  const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  const std::string text = TakeError();
  if (verify.code != X509_V_OK) return RefusedCertificate(verify, peer, expected_host);
  if (reason >= kAlertBase && reason <= kAlertBase + kMaxAlert) {
    return AlertFailure(reason - kAlertBase, peer);
  }
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    return MakeStatus(absl::StatusCode::kUnauthenticated,
                      peer + " showed no certificate; it must be given --cert, --key and --ca");
  }
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_UNSUPPORTED_PROTOCOL) {
    return MakeStatus(absl::StatusCode::kUnauthenticated,
                      peer + " does not speak TLS 1.3 on this port (" + text + "); is it another service's port?");
  }
  return MakeStatus(absl::StatusCode::kUnavailable, "TLS with " + peer + " failed: " + text);
}

}  // namespace uringsync::openssl
