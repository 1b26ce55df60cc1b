#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <cerrno>
#include <ctime>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/certificates.h"
#include "engine/net/fast_gcm.h"
#include "engine/net/openssl_util.h"
#include "engine/net/tls.h"
#include "engine/net/tls_records.h"
#include "engine/net/x509_info.h"

namespace uringsync {

namespace {

constexpr int64_t kWarnBeforeExpirySeconds = int64_t{14} * 24 * 3600;
// AES-128-GCM first: the fastest on every CPU with AES instructions.
constexpr char kCipherSuites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

absl::Status Invalid(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, text);
}

absl::Status CheckDates(const std::string& path, const CertificateInfo& info, bool refuse,
                        std::vector<std::string>* warnings) {
  const int64_t now = std::time(nullptr);
  const std::string what = "certificate " + EscapeName(path);
  std::string problem;
  if (info.expired(now)) {
    problem = what + " has expired on " + FormatUtc(info.not_after) + "; renew it with: uringsync certs init";
  } else if (now < info.not_before) {
    problem = what + " is not valid before " + FormatUtc(info.not_before) + "; check this host's clock";
  } else if (info.not_after - now < kWarnBeforeExpirySeconds) {
    warnings->push_back(what + " expires on " + FormatUtc(info.not_after) + "; renew it with: uringsync certs init");
  }
  if (problem.empty()) return absl::OkStatus();
  if (refuse) return MakeStatus(absl::StatusCode::kFailedPrecondition, problem);
  warnings->push_back(problem);
  return absl::OkStatus();
}

void WarnIfReadableByOthers(const std::string& path, std::vector<std::string>* warnings) {
  struct stat st{};
  if (::stat(path.c_str(), &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    warnings->push_back("private key " + EscapeName(path) +
                        " can be read or written by every user of this host; run: chmod 600 " + EscapeName(path));
  }
}

// A certificate that our own authority did not sign is legal (authorities may be rotated), but mostly a mix-up.
void WarnIfNotSigned(SSL_CTX* context, X509* certificate, const TlsFiles& files, std::vector<std::string>* warnings) {
  using StoreCtx = std::unique_ptr<X509_STORE_CTX, openssl::Deleter<X509_STORE_CTX_free>>;
  StoreCtx verify(X509_STORE_CTX_new());
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  if (X509_STORE_CTX_init(verify.get(), SSL_CTX_get_cert_store(context), certificate, chain) != 1) return;
  if (X509_verify_cert(verify.get()) == 1) return;
  const int error = X509_STORE_CTX_get_error(verify.get());
  if (error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID) return;  // told already
  warnings->push_back("certificate " + EscapeName(files.certificate) + " is not signed by " +
                      EscapeName(files.authority) + " (" + X509_verify_cert_error_string(error) +
                      "); peers that trust only that authority will refuse it");
}

// A context for both sides without a certificate yet.
absl::StatusOr<openssl::SslCtxPtr> MakeContext() {
  openssl::SslCtxPtr made(SSL_CTX_new_ex(openssl::CipherContext(), openssl::kCipherProperties, TLS_method()));
  if (!made) return absl::InternalError("make a TLS context: " + openssl::TakeError());
  SSL_CTX* const context = made.get();
  ERR_clear_error();
  if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context, kCipherSuites) != 1) {
    return absl::InternalError("configure TLS 1.3: " + openssl::TakeError());
  }
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
  // No resumption: every connection proves its certificate anew, and a server writes nothing after its handshake.
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  openssl::HandOverSecrets(context);
  return made;
}

absl::Status UseFiles(SSL_CTX* context, const TlsFiles& files) {
  if (SSL_CTX_use_certificate_chain_file(context, files.certificate.c_str()) != 1) {
    return Invalid("certificate " + EscapeName(files.certificate) + " cannot be used: " + openssl::TakeError());
  }
  if (SSL_CTX_load_verify_file(context, files.authority.c_str()) != 1) {
    return Invalid("authority " + EscapeName(files.authority) + " cannot be used: " + openssl::TakeError());
  }
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files.authority.c_str()));
  return absl::OkStatus();
}

}  // namespace

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Load(TlsFiles files, TlsLoadOptions options) {
  std::vector<std::string> warnings;
  US_ASSIGN_OR_RETURN(openssl::X509Ptr certificate, openssl::ReadCertificate(files.certificate));
  US_ASSIGN_OR_RETURN(openssl::PkeyPtr key, openssl::ReadPrivateKey(files.key));
  US_ASSIGN_OR_RETURN(openssl::X509Ptr authority, openssl::ReadCertificate(files.authority));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return Invalid("private key " + EscapeName(files.key) + " does not belong to certificate " +
                   EscapeName(files.certificate) + "; give the two files that were issued together");
  }
  US_RETURN_IF_ERROR(
      CheckDates(files.certificate, openssl::DescribeCertificate(certificate.get()), options.check_dates, &warnings));
  US_RETURN_IF_ERROR(
      CheckDates(files.authority, openssl::DescribeCertificate(authority.get()), options.check_dates, &warnings));
  WarnIfReadableByOthers(files.key, &warnings);

  US_ASSIGN_OR_RETURN(openssl::SslCtxPtr context, MakeContext());
  US_RETURN_IF_ERROR(UseFiles(context.get(), files));
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return Invalid("private key " + EscapeName(files.key) + " cannot be used: " + openssl::TakeError());
  }
  WarnIfNotSigned(context.get(), certificate.get(), files, &warnings);
  ERR_clear_error();
  return std::shared_ptr<const TlsContext>(new TlsContext(context.release(), std::move(warnings)));
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::FromKeys(const OneTimeKeys& keys) {
  US_ASSIGN_OR_RETURN(const openssl::X509Ptr certificate, openssl::CertificateFromPem(keys.certificate));
  US_ASSIGN_OR_RETURN(const openssl::PkeyPtr key, openssl::PrivateKeyFromPem(keys.key));
  US_ASSIGN_OR_RETURN(openssl::SslCtxPtr context, MakeContext());
  if (SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 ||
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), certificate.get()) != 1 ||
      SSL_CTX_add_client_CA(context.get(), certificate.get()) != 1) {
    return Invalid("one-time keys cannot be used: " + openssl::TakeError());
  }
  return std::shared_ptr<const TlsContext>(new TlsContext(context.release(), {}));
}

}  // namespace uringsync
