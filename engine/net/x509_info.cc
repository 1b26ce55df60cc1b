#include "engine/net/x509_info.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstdio>
#include <ctime>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/pem_files.h"

namespace uringsync {

namespace openssl {

namespace {

std::string NameToText(const X509_NAME* name) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

std::string StringToText(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<size_t>(ASN1_STRING_length(text)));
}

std::string IpToText(const ASN1_STRING* bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  const int length = ASN1_STRING_length(bytes);
  if (length == 4) inet_ntop(AF_INET, ASN1_STRING_get0_data(bytes), text, sizeof(text));
  if (length == 16) inet_ntop(AF_INET6, ASN1_STRING_get0_data(bytes), text, sizeof(text));
  return text;
}

void CollectNames(X509* certificate, CertificateInfo* info) {
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (names == nullptr) return;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) info->dns_names.push_back(StringToText(name->d.dNSName));
    if (name->type == GEN_IPADD) info->ip_addresses.push_back(IpToText(name->d.iPAddress));
    if (name->type == GEN_URI) info->uris.push_back(StringToText(name->d.uniformResourceIdentifier));
  }
  GENERAL_NAMES_free(names);
}

std::string Fingerprint(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return "";
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<std::FILE, FileCloser>;

absl::StatusOr<FilePtr> OpenForReading(const std::string& path) {
  FilePtr file(std::fopen(path.c_str(), "re"));
  if (!file) return ErrnoStatus(errno, "open " + EscapeName(path));
  return file;
}

// PEM readers would ask on the terminal otherwise.
int RefusePassphrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

std::string TakeError() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "error " + std::to_string(code);
  ERR_clear_error();
  return text;
}

std::string NameText(const X509_NAME* name) {
  return EscapeName(NameToText(name));
}

int64_t SecondsOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return static_cast<int64_t>(timegm(&parts));
}

CertificateInfo DescribeCertificate(X509* certificate) {
  CertificateInfo info;
  info.subject = NameToText(X509_get_subject_name(certificate));
  info.issuer = NameToText(X509_get_issuer_name(certificate));
  const X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) info.common_name = StringToText(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  CollectNames(certificate, &info);
  info.not_before = SecondsOf(X509_get0_notBefore(certificate));
  info.not_after = SecondsOf(X509_get0_notAfter(certificate));
  info.is_authority = X509_check_ca(certificate) == 1;
  info.fingerprint = Fingerprint(certificate);
  return info;
}

PeerIdentity IdentityOf(X509* certificate) {
  CertificateInfo info = DescribeCertificate(certificate);
  const absl::StatusOr<std::string> pem = ToPem(certificate);
  return PeerIdentity{std::move(info.common_name), std::move(info.dns_names),
                      std::move(info.ip_addresses), std::move(info.uris),
                      std::move(info.fingerprint), pem.value_or(std::string())};
}

std::string NamesOf(const CertificateInfo& info) {
  std::string text;
  for (const auto* list : {&info.dns_names, &info.ip_addresses, &info.uris}) {
    for (const std::string& name : *list) {
      if (!text.empty()) text += ", ";
      text += EscapeName(name);
    }
  }
  return text.empty() ? "no host" : text;
}

absl::StatusOr<X509Ptr> ReadCertificate(const std::string& path) {
  US_ASSIGN_OR_RETURN(FilePtr file, OpenForReading(path));
  ERR_clear_error();
  X509Ptr certificate(PEM_read_X509(file.get(), nullptr, RefusePassphrase, nullptr));
  if (!certificate) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      EscapeName(path) + " holds no PEM certificate (" + TakeError() + ")");
  }
  return certificate;
}

absl::StatusOr<PkeyPtr> ReadPrivateKey(const std::string& path) {
  US_ASSIGN_OR_RETURN(FilePtr file, OpenForReading(path));
  ERR_clear_error();
  PkeyPtr key(PEM_read_PrivateKey(file.get(), nullptr, RefusePassphrase, nullptr));
  if (!key) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      EscapeName(path) + " holds no PEM private key without a passphrase (" + TakeError() + ")");
  }
  return key;
}

absl::StatusOr<X509Ptr> CertificateFromPem(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  ERR_clear_error();
  X509Ptr certificate(bio ? PEM_read_bio_X509(bio.get(), nullptr, RefusePassphrase, nullptr) : nullptr);
  if (!certificate) return MakeStatus(absl::StatusCode::kInvalidArgument, "no PEM certificate (" + TakeError() + ")");
  return certificate;
}

absl::StatusOr<std::vector<X509Ptr>> CertificatesFromPem(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<X509Ptr> certificates;
  ERR_clear_error();
  while (bio) {
    X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, RefusePassphrase, nullptr));
    if (!certificate) break;
    certificates.push_back(std::move(certificate));
  }
  // The end of a PEM text is told as "no start line"; anything else is a certificate that is broken.
  const unsigned long error = ERR_peek_last_error();
  const bool ended = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const std::string reason = TakeError();
  if (certificates.empty() || !ended)
    return MakeStatus(absl::StatusCode::kInvalidArgument, "holds no PEM certificate (" + reason + ")");
  return certificates;
}

absl::StatusOr<PkeyPtr> PrivateKeyFromPem(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  ERR_clear_error();
  PkeyPtr key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassphrase, nullptr) : nullptr);
  if (!key)
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "no PEM private key without a passphrase (" + TakeError() + ")");
  return key;
}

}  // namespace openssl

absl::StatusOr<CertificateInfo> ReadCertificateInfo(const std::string& path) {
  US_ASSIGN_OR_RETURN(openssl::X509Ptr certificate, openssl::ReadCertificate(path));
  return openssl::DescribeCertificate(certificate.get());
}

std::string FormatUtc(int64_t seconds) {
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[64];
  const size_t size = std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return std::string(text, size);
}

}  // namespace uringsync
