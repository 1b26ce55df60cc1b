#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/unique_fd.h"
#include "engine/net/address.h"
#include "engine/net/certificates.h"
#include "engine/net/fast_gcm.h"
#include "engine/net/openssl_util.h"
#include "engine/net/revocations.h"
#include "engine/net/tls.h"
#include "engine/net/tls_error.h"
#include "engine/net/tls_records.h"
#include "engine/net/tls_versions.h"
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
  US_RETURN_IF_ERROR(openssl::RequireTls13());
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

using Certificates = std::vector<openssl::X509Ptr>;

// The leaf and what stands behind it.
absl::Status UseChain(SSL_CTX* context, const Certificates& chain, const std::string& path) {
  bool used = SSL_CTX_use_certificate(context, chain.front().get()) == 1;
  for (size_t i = 1; i < chain.size(); ++i) used = used && SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  return used ? absl::OkStatus() : Invalid("certificate " + EscapeName(path) + " cannot be used: " + openssl::TakeError());
}

absl::Status UseAuthorities(SSL_CTX* context, const Certificates& authorities, const std::string& path) {
  for (const openssl::X509Ptr& authority : authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1) {
      return Invalid("authority " + EscapeName(path) + " cannot be used: " + openssl::TakeError());
    }
  }
  return absl::OkStatus();
}

// More than any chain of certificates; a wrong file (a device, a log) is not read to its end. Lists may be long.
constexpr size_t kMaxPemBytes = size_t{1} << 20;
constexpr size_t kMaxListBytes = size_t{64} << 20;

absl::StatusOr<std::string> ReadText(const std::string& path, size_t max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, "open " + EscapeName(path));
  std::string text;
  while (text.size() <= max) {
    char piece[16384];
    const ssize_t n = ::read(fd.get(), piece, sizeof(piece));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read " + EscapeName(path));
    if (n == 0) return text;
    text.append(piece, static_cast<size_t>(n));
  }
  return Invalid(EscapeName(path) + " is longer than any PEM file that is meant for this");
}

absl::StatusOr<TlsTexts> ReadTexts(const TlsFiles& files) {
  TlsTexts texts;
  US_ASSIGN_OR_RETURN(texts.certificate, ReadText(files.certificate, kMaxPemBytes));
  US_ASSIGN_OR_RETURN(texts.key, ReadText(files.key, kMaxPemBytes));
  US_ASSIGN_OR_RETURN(texts.authority, ReadText(files.authority, kMaxPemBytes));
  if (files.revocations.empty()) return texts;
  US_ASSIGN_OR_RETURN(texts.revocations, ReadText(files.revocations, kMaxListBytes));
  return texts;
}

absl::StatusOr<Certificates> ParseCertificates(const std::string& pem, const std::string& path) {
  absl::StatusOr<Certificates> certificates = openssl::CertificatesFromPem(pem);
  if (!certificates.ok()) return Invalid(EscapeName(path) + " " + std::string(ToStd(certificates.status().message())));
  return certificates;
}

absl::StatusOr<openssl::PkeyPtr> ParseKey(const std::string& pem, const std::string& path) {
  absl::StatusOr<openssl::PkeyPtr> key = openssl::PrivateKeyFromPem(pem);
  if (!key.ok()) return Invalid(EscapeName(path) + " holds " + std::string(ToStd(key.status().message())));
  return key;
}

void WarnIfListEndsSoon(const openssl::Revocations& lists, const std::string& path, std::vector<std::string>* warnings) {
  const int64_t left = lists.ends() - std::time(nullptr);
  if (left >= kWarnBeforeExpirySeconds) return;
  warnings->push_back("revocation list " + EscapeName(path) + (left < 0 ? " has expired on " : " expires on ") +
                      FormatUtc(lists.ends()) + "; nobody is let in with one that has expired");
}

using StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, openssl::Deleter<X509_STORE_CTX_free>>;

absl::Status SetUpVerification(X509_STORE_CTX* verify, X509_STORE* store, X509* leaf, STACK_OF(X509)* chain,
                               const std::string& expected_host) {
  ERR_clear_error();
  bool set = X509_STORE_CTX_init(verify, store, leaf, chain) == 1;
  const bool of_server = !expected_host.empty();
  set = set && X509_STORE_CTX_set_default(verify, of_server ? "ssl_server" : "ssl_client") == 1;
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(verify);
  if (set && of_server) {
    X509_VERIFY_PARAM_set_hostflags(parameters,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    set = IsIpLiteral(expected_host)
              ? X509_VERIFY_PARAM_set1_ip_asc(parameters, expected_host.c_str()) == 1
              : X509_VERIFY_PARAM_set1_host(parameters, expected_host.c_str(), expected_host.size()) == 1;
  }
  return set ? absl::OkStatus() : absl::InternalError("verify a certificate: " + openssl::TakeError());
}

}  // namespace

struct TlsContext::Parts {
  std::vector<std::string> warnings;
  std::string summary;
  TlsTexts texts;
  std::shared_ptr<const openssl::Revocations> revocations;
};

TlsContext::TlsContext(SSL_CTX* context, Parts parts)
    : context_(context),
      warnings_(std::move(parts.warnings)),
      summary_(std::move(parts.summary)),
      texts_(std::move(parts.texts)),
      revocations_(std::move(parts.revocations)) {}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Load(TlsFiles files, TlsLoadOptions options) {
  Parts parts;
  US_ASSIGN_OR_RETURN(parts.texts, ReadTexts(files));
  US_ASSIGN_OR_RETURN(const Certificates chain, ParseCertificates(parts.texts.certificate, files.certificate));
  US_ASSIGN_OR_RETURN(const openssl::PkeyPtr key, ParseKey(parts.texts.key, files.key));
  US_ASSIGN_OR_RETURN(const Certificates authorities, ParseCertificates(parts.texts.authority, files.authority));
  X509* const certificate = chain.front().get();
  if (X509_check_private_key(certificate, key.get()) != 1) {
    ERR_clear_error();
    return Invalid("private key " + EscapeName(files.key) + " does not belong to certificate " +
                   EscapeName(files.certificate) + "; give the two files that were issued together");
  }
  const CertificateInfo info = openssl::DescribeCertificate(certificate);
  US_RETURN_IF_ERROR(CheckDates(files.certificate, info, options.check_dates, &parts.warnings));
  US_RETURN_IF_ERROR(CheckDates(files.authority, openssl::DescribeCertificate(authorities.front().get()),
                                options.check_dates, &parts.warnings));
  WarnIfReadableByOthers(files.key, &parts.warnings);

  US_ASSIGN_OR_RETURN(openssl::SslCtxPtr context, MakeContext());
  US_RETURN_IF_ERROR(UseChain(context.get(), chain, files.certificate));
  US_RETURN_IF_ERROR(UseAuthorities(context.get(), authorities, files.authority));
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return Invalid("private key " + EscapeName(files.key) + " cannot be used: " + openssl::TakeError());
  }
  WarnIfNotSigned(context.get(), certificate, files, &parts.warnings);
  parts.summary = "certificate " + info.fingerprint + " until " + FormatUtc(info.not_after);
  if (!files.revocations.empty()) {
    const std::string shown = EscapeName(files.revocations);
    US_ASSIGN_OR_RETURN(openssl::Revocations lists, openssl::Revocations::FromPem(parts.texts.revocations, shown));
    US_RETURN_IF_ERROR(lists.CheckIssuers(authorities, options.check_dates));
    US_RETURN_IF_ERROR(lists.EnforceIn(SSL_CTX_get_cert_store(context.get())));
    WarnIfListEndsSoon(lists, files.revocations, &parts.warnings);
    parts.summary += ", " + std::to_string(lists.entries()) + " revoked";
    parts.revocations = std::make_shared<const openssl::Revocations>(std::move(lists));
  }
  ERR_clear_error();
  return std::shared_ptr<const TlsContext>(new TlsContext(context.release(), std::move(parts)));
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
  return std::shared_ptr<const TlsContext>(new TlsContext(context.release(), Parts()));
}

absl::Status TlsContext::JudgePeer(const ShownCertificate& shown, const std::string& expected_host,
                                   const std::string& peer) const {
  absl::StatusOr<openssl::X509Ptr> leaf = openssl::CertificateFromPem(shown.leaf);
  if (!leaf.ok()) return MakeStatus(absl::StatusCode::kUnauthenticated, peer + " showed no certificate");
  absl::StatusOr<Certificates> chain = openssl::CertificatesFromPem(shown.chain.empty() ? shown.leaf : shown.chain);
  if (!chain.ok()) return MakeStatus(absl::StatusCode::kUnauthenticated, peer + " showed a chain that is none");
  STACK_OF(X509)* const untrusted = sk_X509_new_null();
  const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> owner(untrusted,
                                                                         [](STACK_OF(X509)* s) { sk_X509_free(s); });
  for (const openssl::X509Ptr& certificate : *chain) sk_X509_push(untrusted, certificate.get());
  const StoreCtxPtr verify(X509_STORE_CTX_new());
  US_RETURN_IF_ERROR(
      SetUpVerification(verify.get(), SSL_CTX_get_cert_store(context_), leaf->get(), untrusted, expected_host));
  const bool good = X509_verify_cert(verify.get()) == 1;
  ERR_clear_error();
  if (good) return absl::OkStatus();
  return openssl::RefusedCertificate(openssl::FailureOf(verify.get()), peer, expected_host);
}

bool TlsContext::Revokes(const std::string& leaf) const {
  if (revocations_ == nullptr) return false;
  const absl::StatusOr<openssl::X509Ptr> certificate = openssl::CertificateFromPem(leaf);
  return certificate.ok() && revocations_->Revoked(certificate->get());
}

}  // namespace uringsync
