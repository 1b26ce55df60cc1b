#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <charconv>
#include <ctime>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/unique_fd.h"
#include "engine/net/authority.h"
#include "engine/net/certificates.h"
#include "engine/net/issued.h"
#include "engine/net/pem_files.h"
#include "engine/net/revocations.h"
#include "engine/net/x509_info.h"

namespace uringsync {
namespace {

using openssl::Authority;
using openssl::X509CrlPtr;
using Asn1Integer = std::unique_ptr<ASN1_INTEGER, openssl::Deleter<ASN1_INTEGER_free>>;
using BigNumber = std::unique_ptr<BIGNUM, openssl::Deleter<BN_free>>;
using Asn1Time = std::unique_ptr<ASN1_TIME, openssl::Deleter<ASN1_TIME_free>>;
using RevokedPtr = std::unique_ptr<X509_REVOKED, openssl::Deleter<X509_REVOKED_free>>;

// Lists start a little in the past, for hosts whose clocks differ.
constexpr int64_t kSkewSeconds = 60;

absl::Status OpensslError(const std::string& what) {
  return MakeStatus(absl::StatusCode::kInternal, what + ": " + openssl::TakeError());
}

std::string SerialOf(const ASN1_INTEGER* serial) {
  const BigNumber number(ASN1_INTEGER_to_BN(serial, nullptr));
  char* const text = number ? BN_bn2hex(number.get()) : nullptr;
  std::string hex = text == nullptr ? "" : text;
  OPENSSL_free(text);
  return hex;
}

// Serial numbers of what was issued under that name and has not ended by itself.
std::set<std::string> IssuedUnder(const std::string& directory, const std::string& name) {
  std::set<std::string> serials;
  std::ifstream file(directory + openssl::kIssuedFile);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string serial;
    int64_t end = 0;
    std::string issued_to;
    if (words >> serial >> end >> issued_to && issued_to == name && end > std::time(nullptr)) serials.insert(serial);
  }
  return serials;
}

bool IsFile(const std::string& name) {
  return name.find('/') != std::string::npos || name.ends_with(".crt") || name.ends_with(".pem");
}

absl::Status AddFromFile(const std::string& path, const Authority& authority, std::set<std::string>* serials) {
  US_ASSIGN_OR_RETURN(const openssl::X509Ptr certificate, openssl::ReadCertificate(path));
  const bool ours = X509_verify(certificate.get(), authority.key.get()) == 1;
  ERR_clear_error();
  if (!ours)
    return MakeStatus(absl::StatusCode::kInvalidArgument, EscapeName(path) + " is not of this authority: only who "
                                                                             "issued a certificate can revoke it");
  serials->insert(SerialOf(X509_get0_serialNumber(certificate.get())));
  return absl::OkStatus();
}

absl::Status AddSerials(const std::string& directory, const std::string& name, const Authority& authority,
                        std::set<std::string>* serials) {
  if (IsFile(name)) return AddFromFile(name, authority, serials);
  US_RETURN_IF_ERROR(openssl::CheckHostName(name));
  std::set<std::string> found = IssuedUnder(directory, name);
  const CertificateFiles files = openssl::FilesOf(directory, name);
  if (openssl::FileExists(files.certificate)) US_RETURN_IF_ERROR(AddFromFile(files.certificate, authority, &found));
  if (found.empty()) {
    return MakeStatus(absl::StatusCode::kNotFound,
                      "no certificate of the name " + EscapeName(name) + " was issued in " + EscapeName(directory) +
                          "; give a name that 'certs init' has made, or a certificate's file");
  }
  serials->merge(found);
  return absl::OkStatus();
}

// Null where there is none yet.
absl::StatusOr<X509CrlPtr> ReadList(const std::string& path, const Authority& authority) {
  if (!openssl::FileExists(path)) return X509CrlPtr();
  const openssl::BioPtr bio(BIO_new_file(path.c_str(), "r"));
  ERR_clear_error();
  X509CrlPtr list(bio ? PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  const bool ours = list && X509_CRL_verify(list.get(), authority.key.get()) == 1;
  ERR_clear_error();
  if (ours) return list;
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    EscapeName(path) + " is no revocation list of this authority; move it away, or repair it");
}

// The old list's number is followed by the next one.
Asn1Integer NextNumber(X509_CRL* old) {
  Asn1Integer number(old == nullptr ? nullptr
                                    : static_cast<ASN1_INTEGER*>(
                                          X509_CRL_get_ext_d2i(old, NID_crl_number, nullptr, nullptr)));
  BigNumber value(number ? ASN1_INTEGER_to_BN(number.get(), nullptr) : BN_new());
  if (value) BN_add_word(value.get(), 1);
  return Asn1Integer(value ? BN_to_ASN1_INTEGER(value.get(), nullptr) : nullptr);
}

bool AddRevoked(X509_CRL* list, const std::string& serial, const ASN1_TIME* now) {
  BIGNUM* raw = nullptr;
  if (BN_hex2bn(&raw, serial.c_str()) == 0) return false;
  const BigNumber number(raw);
  const Asn1Integer value(BN_to_ASN1_INTEGER(number.get(), nullptr));
  RevokedPtr entry(X509_REVOKED_new());
  if (!value || !entry || X509_REVOKED_set_serialNumber(entry.get(), value.get()) != 1 ||
      X509_REVOKED_set_revocationDate(entry.get(), const_cast<ASN1_TIME*>(now)) != 1 ||
      X509_CRL_add0_revoked(list, entry.get()) != 1) {
    return false;
  }
  static_cast<void>(entry.release());  // the list's
  return true;
}

// What is revoked already stays. The number of entries before is in `kept`.
bool CopyRevoked(X509_CRL* old, X509_CRL* list, std::set<std::string>* serials) {
  STACK_OF(X509_REVOKED)* const entries = old == nullptr ? nullptr : X509_CRL_get_REVOKED(old);
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* const entry = sk_X509_REVOKED_value(entries, i);
    serials->erase(SerialOf(X509_REVOKED_get0_serialNumber(entry)));
    RevokedPtr copy(X509_REVOKED_dup(const_cast<X509_REVOKED*>(entry)));
    if (!copy || X509_CRL_add0_revoked(list, copy.get()) != 1) return false;
    static_cast<void>(copy.release());
  }
  return true;
}

// `serials`: those to add; afterwards those that were not in `old`.
absl::StatusOr<X509CrlPtr> MakeList(X509_CRL* old, const Authority& authority, std::set<std::string>* serials) {
  X509CrlPtr list(X509_CRL_new());
  const Asn1Time now(ASN1_TIME_set(nullptr, std::time(nullptr) - kSkewSeconds));
  X509* const issuer = authority.certificate.get();
  ERR_clear_error();
  bool made = list && now && X509_CRL_set_version(list.get(), 1) == 1 &&
              X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(issuer)) == 1 &&
              X509_CRL_set1_lastUpdate(list.get(), now.get()) == 1 &&
              X509_CRL_set1_nextUpdate(list.get(), X509_get0_notAfter(issuer)) == 1 &&
              CopyRevoked(old, list.get(), serials);
  for (const std::string& serial : *serials) made = made && AddRevoked(list.get(), serial, now.get());
  const Asn1Integer number = NextNumber(old);
  made = made && number && X509_CRL_add1_ext_i2d(list.get(), NID_crl_number, number.get(), 0, 0) == 1 &&
         X509_CRL_sort(list.get()) == 1 && X509_CRL_sign(list.get(), authority.key.get(), EVP_sha256()) != 0;
  if (!made) return OpensslError("make a revocation list");
  return list;
}

}  // namespace

namespace openssl {

absl::Status NoteIssued(const std::string& directory, const std::string& name, X509* certificate) {
  const std::string path = directory + kIssuedFile;
  const std::string line = SerialOf(X509_get0_serialNumber(certificate)) + " " +
                           std::to_string(SecondsOf(X509_get0_notAfter(certificate))) + " " + name + "\n";
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.valid()) return ErrnoStatus(errno, "open " + EscapeName(path));
  if (::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) || ::fsync(fd.get()) != 0)
    return ErrnoStatus(errno, "write " + EscapeName(path));
  return absl::OkStatus();
}

absl::StatusOr<bool> IsRevoked(const std::string& directory, X509* certificate) {
  US_ASSIGN_OR_RETURN(const Authority authority, LoadAuthority(directory));
  US_ASSIGN_OR_RETURN(const X509CrlPtr list, ReadList(directory + kRevokedFile, authority));
  X509_REVOKED* entry = nullptr;
  return list && X509_CRL_get0_by_cert(list.get(), &entry, certificate) == 1;
}

}  // namespace openssl

absl::StatusOr<RevokeResult> RevokeCertificates(const RevokeOptions& options) {
  US_ASSIGN_OR_RETURN(const Authority authority, openssl::LoadAuthority(options.directory));
  std::set<std::string> serials;
  for (const std::string& name : options.names)
    US_RETURN_IF_ERROR(AddSerials(options.directory, name, authority, &serials));
  RevokeResult result;
  result.list = options.directory + openssl::kRevokedFile;
  US_ASSIGN_OR_RETURN(const X509CrlPtr old, ReadList(result.list, authority));
  US_ASSIGN_OR_RETURN(const X509CrlPtr list, MakeList(old.get(), authority, &serials));
  result.added = serials.size();
  STACK_OF(X509_REVOKED)* const entries = X509_CRL_get_REVOKED(list.get());
  result.entries = static_cast<size_t>(std::max(0, sk_X509_REVOKED_num(entries)));
  US_RETURN_IF_ERROR(openssl::PublishList(result.list, list.get()));
  return result;
}

}  // namespace uringsync
