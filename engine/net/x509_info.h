// What a certificate says, as values. Inside engine/net only. Thread rule: pure functions.
#pragma once

#include <openssl/x509.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/net/certificates.h"
#include "engine/net/openssl_util.h"
#include "engine/net/stream.h"

namespace uringsync::openssl {

CertificateInfo DescribeCertificate(X509* certificate);
PeerIdentity IdentityOf(X509* certificate);
// Every name of the subjectAltName, comma-separated and escaped: for messages.
std::string NamesOf(const CertificateInfo& info);
// RFC 2253, escaped.
std::string NameText(const X509_NAME* name);
// Since 1970, UTC; 0 for a time that is none.
int64_t SecondsOf(const ASN1_TIME* time);
// First certificate of a PEM file. Errors as ReadCertificateInfo.
absl::StatusOr<X509Ptr> ReadCertificate(const std::string& path);
// Private key of a PEM file. A key with a passphrase is refused: nobody is there to type it.
absl::StatusOr<PkeyPtr> ReadPrivateKey(const std::string& path);
// Of PEM that is no file. InvalidArgument.
absl::StatusOr<X509Ptr> CertificateFromPem(const std::string& pem);
// All of them, in order; at least one.
absl::StatusOr<std::vector<X509Ptr>> CertificatesFromPem(const std::string& pem);
absl::StatusOr<PkeyPtr> PrivateKeyFromPem(const std::string& pem);

}  // namespace uringsync::openssl
