// Keys and certificates as PEM files that appear whole or not at all, flushed to disk. Inside engine/net only.
//
// Thread rule: plain blocking functions.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/certificates.h"
#include "engine/net/openssl_util.h"

namespace uringsync::openssl {

// PKCS #8 without a passphrase.
absl::StatusOr<std::string> ToPem(EVP_PKEY* key);
absl::StatusOr<std::string> ToPem(X509* certificate);
CertificateFiles FilesOf(const std::string& directory, const std::string& stem);
bool FileExists(const std::string& path);
// mkdir, mode 0755; one that exists is fine.
absl::Status MakeDirectory(const std::string& directory);
// Mode 0600. Without `replace` an existing file is AlreadyExists, also when it appears
// meanwhile.
absl::Status PublishKey(const std::string& path, EVP_PKEY* key, bool replace);
// Mode 0644.
absl::Status PublishCertificate(const std::string& path, X509* certificate, bool replace);

// Mode 0644, in place of one that is there.
absl::Status PublishList(const std::string& path, X509_CRL* list);

}  // namespace uringsync::openssl
