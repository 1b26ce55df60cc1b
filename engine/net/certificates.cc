#include "engine/net/certificates.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/address.h"
#include "engine/net/authority.h"
#include "engine/net/issued.h"
#include "engine/net/openssl_util.h"
#include "engine/net/pem_files.h"
#include "engine/net/x509_info.h"

namespace uringsync {

namespace {

using openssl::Authority;
using openssl::PkeyPtr;
using openssl::X509Ptr;

// Certificates start a little in the past, for hosts whose clocks differ.
constexpr int64_t kSkewSeconds = 60;
constexpr size_t kMaxHostBytes = 253;
constexpr size_t kMaxCommonNameBytes = 64;
// Before and after now: clocks of hosts may be far off.
constexpr int64_t kOneTimeSeconds = 3650 * openssl::kDaySeconds;

absl::Status Invalid(const std::string& text) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, text);
}
absl::Status OpensslError(const std::string& what) {
  return MakeStatus(absl::StatusCode::kInternal, what + ": " + openssl::TakeError());
}

absl::Status AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return OpensslError("make a certificate extension");
  const int rc = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return rc == 1 ? absl::OkStatus() : OpensslError("add a certificate extension");
}

absl::Status AddSubjectNames(X509* certificate, const std::vector<std::string>& hosts) {
  GENERAL_NAMES* names = sk_GENERAL_NAME_new_null();
  bool ok = names != nullptr;
  for (const std::string& host : hosts) {
    int type = GEN_DNS;
    if (IsIpLiteral(host)) type = GEN_IPADD;
    if (host.find("://") != std::string::npos) type = GEN_URI;
    GENERAL_NAME* name = a2i_GENERAL_NAME(nullptr, nullptr, nullptr, type, host.c_str(), 0);
    ok = ok && name != nullptr && sk_GENERAL_NAME_push(names, name) > 0;
  }
  ok = ok && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE) == 1;
  GENERAL_NAMES_free(names);
  return ok ? absl::OkStatus() : OpensslError("add subject names");
}

struct Template {
  std::string common_name;
  int64_t not_before = 0;
  int64_t not_after = 0;
};

// Version, serial number (159 random bits, RFC 5280 4.1.2.2), names, dates and key. Extensions and signature are the
// caller's.
absl::StatusOr<X509Ptr> MakeCertificate(const Template& what, const X509_NAME* issuer, EVP_PKEY* key) {
  X509Ptr certificate(X509_new());
  std::array<unsigned char, 20> serial_bytes{};
  if (RAND_bytes(serial_bytes.data(), static_cast<int>(serial_bytes.size())) != 1)
    return OpensslError("draw a serial number");
  serial_bytes[0] = static_cast<unsigned char>((serial_bytes[0] & 0x7f) | 0x40);
  BIGNUM* serial = BN_bin2bn(serial_bytes.data(), static_cast<int>(serial_bytes.size()), nullptr);
  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate.get()));
  BN_free(serial);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const bool ok =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(what.common_name.data()),
                                 static_cast<int>(what.common_name.size()), -1, 0) == 1 &&
      X509_set_issuer_name(certificate.get(), issuer != nullptr ? issuer : subject) == 1 &&
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), static_cast<time_t>(what.not_before)) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), static_cast<time_t>(what.not_after)) != nullptr &&
      X509_set_pubkey(certificate.get(), key) == 1;
  if (!ok) return OpensslError("make a certificate for '" + EscapeName(what.common_name) + "'");
  return certificate;
}

absl::StatusOr<PkeyPtr> MakeKey() {
  ERR_clear_error();
  PkeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return OpensslError("make a key");
  return key;
}

}  // namespace

namespace openssl {

absl::Status CheckHostName(const std::string& name) {
  const bool legal = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == ':';
  });
  const bool colon = name.find(':') != std::string::npos;
  if (name.empty() || name.size() > kMaxHostBytes || !legal || name.front() == '.' || name.front() == '-' ||
      (colon && !IsIpLiteral(name))) {
    return Invalid("'" + EscapeName(name) + "' is no host name or IP address");
  }
  return absl::OkStatus();
}

absl::Status RefuseExisting(const CertificateFiles& files, bool force) {
  for (const std::string& path : {files.certificate, files.key}) {
    if (!force && FileExists(path)) {
      return MakeStatus(absl::StatusCode::kAlreadyExists,
                        EscapeName(path) + " exists already; it is only replaced with --force");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Authority> LoadAuthority(const std::string& directory) {
  const CertificateFiles files = FilesOf(directory, kAuthorityStem);
  Authority authority;
  US_ASSIGN_OR_RETURN(authority.certificate, openssl::ReadCertificate(files.certificate));
  US_ASSIGN_OR_RETURN(authority.key, openssl::ReadPrivateKey(files.key));
  if (X509_check_private_key(authority.certificate.get(), authority.key.get()) != 1) {
    ERR_clear_error();
    return Invalid(EscapeName(files.key) + " does not belong to " + EscapeName(files.certificate));
  }
  const CertificateInfo info = openssl::DescribeCertificate(authority.certificate.get());
  if (info.expired(std::time(nullptr))) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "authority " + EscapeName(files.certificate) +
                                                                 " has expired on " + FormatUtc(info.not_after) +
                                                                 "; make a new one with: uringsync certs init --force");
  }
  return authority;
}

absl::StatusOr<X509Ptr> SignFor(const IssueOptions& options, const Authority& authority, EVP_PKEY* key) {
  for (const std::string& host : options.hosts) {
    if (host.find("://") == std::string::npos) US_RETURN_IF_ERROR(CheckHostName(host));
  }
  if (options.name == kAuthorityStem) return Invalid("the name 'ca' is the authority's");
  const int64_t start = std::time(nullptr) + options.start_offset_seconds;
  X509* issuer = authority.certificate.get();
  // RFC 5280 bounds a common name at 64 characters; the alternative names hold it whole.
  const Template what{options.name.substr(0, kMaxCommonNameBytes), start - kSkewSeconds,
                      start + options.days * kDaySeconds};
  US_ASSIGN_OR_RETURN(X509Ptr certificate, MakeCertificate(what, X509_get_subject_name(issuer), key));
  X509* made = certificate.get();
  US_RETURN_IF_ERROR(AddExtension(made, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  US_RETURN_IF_ERROR(AddExtension(made, issuer, NID_key_usage, "critical,digitalSignature"));
  US_RETURN_IF_ERROR(AddExtension(made, issuer, NID_ext_key_usage, "serverAuth,clientAuth"));
  US_RETURN_IF_ERROR(AddExtension(made, issuer, NID_subject_key_identifier, "hash"));
  US_RETURN_IF_ERROR(AddExtension(made, issuer, NID_authority_key_identifier, "keyid"));
  if (!options.hosts.empty()) US_RETURN_IF_ERROR(AddSubjectNames(made, options.hosts));
  if (X509_sign(made, authority.key.get(), EVP_sha256()) == 0) return OpensslError("sign a certificate");
  return certificate;
}

}  // namespace openssl

absl::StatusOr<CertificateFiles> CreateAuthority(const AuthorityOptions& options) {
  US_RETURN_IF_ERROR(openssl::MakeDirectory(options.directory));
  const CertificateFiles files = openssl::FilesOf(options.directory, openssl::kAuthorityStem);
  US_RETURN_IF_ERROR(openssl::RefuseExisting(files, options.force));
  US_ASSIGN_OR_RETURN(PkeyPtr key, MakeKey());
  const int64_t now = std::time(nullptr);
  US_ASSIGN_OR_RETURN(X509Ptr certificate,
                      MakeCertificate({options.name, now - kSkewSeconds, now + options.days * openssl::kDaySeconds},
                                      nullptr, key.get()));
  X509* self = certificate.get();
  US_RETURN_IF_ERROR(AddExtension(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  US_RETURN_IF_ERROR(AddExtension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign"));
  US_RETURN_IF_ERROR(AddExtension(self, self, NID_subject_key_identifier, "hash"));
  if (X509_sign(self, key.get(), EVP_sha256()) == 0) return OpensslError("sign the authority");
  US_RETURN_IF_ERROR(openssl::PublishKey(files.key, key.get(), options.force));
  US_RETURN_IF_ERROR(openssl::PublishCertificate(files.certificate, self, options.force));
  return files;
}

absl::StatusOr<CertificateFiles> IssueCertificate(const IssueOptions& options) {
  US_RETURN_IF_ERROR(openssl::CheckHostName(options.name));
  const CertificateFiles files = openssl::FilesOf(options.directory, options.name);
  US_RETURN_IF_ERROR(openssl::RefuseExisting(files, options.force));
  US_ASSIGN_OR_RETURN(const Authority authority, openssl::LoadAuthority(options.directory));
  US_ASSIGN_OR_RETURN(PkeyPtr key, MakeKey());
  US_ASSIGN_OR_RETURN(X509Ptr certificate, openssl::SignFor(options, authority, key.get()));
  US_RETURN_IF_ERROR(openssl::NoteIssued(options.directory, options.name, certificate.get()));
  US_RETURN_IF_ERROR(openssl::PublishKey(files.key, key.get(), options.force));
  US_RETURN_IF_ERROR(openssl::PublishCertificate(files.certificate, certificate.get(), options.force));
  return files;
}

absl::StatusOr<OneTimeKeys> MakeOneTimeKeys() {
  US_ASSIGN_OR_RETURN(const PkeyPtr key, MakeKey());
  const int64_t now = std::time(nullptr);
  US_ASSIGN_OR_RETURN(
      const X509Ptr certificate,
      MakeCertificate({kOneTimeName, now - kOneTimeSeconds, now + kOneTimeSeconds}, nullptr, key.get()));
  X509* const self = certificate.get();
  US_RETURN_IF_ERROR(AddExtension(self, self, NID_basic_constraints, "critical,CA:FALSE"));
  US_RETURN_IF_ERROR(AddExtension(self, self, NID_key_usage, "critical,digitalSignature"));
  US_RETURN_IF_ERROR(AddExtension(self, self, NID_ext_key_usage, "serverAuth,clientAuth"));
  US_RETURN_IF_ERROR(AddSubjectNames(self, {kOneTimeName}));
  if (X509_sign(self, key.get(), EVP_sha256()) == 0) return OpensslError("sign a certificate");
  OneTimeKeys keys;
  US_ASSIGN_OR_RETURN(keys.certificate, openssl::ToPem(self));
  US_ASSIGN_OR_RETURN(keys.key, openssl::ToPem(key.get()));
  return keys;
}

}  // namespace uringsync
