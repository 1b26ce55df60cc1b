// The parts of certificates.h that its two sources share. Inside engine/net only. Thread rule: plain blocking
// functions.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/certificates.h"
#include "engine/net/openssl_util.h"

namespace uringsync::openssl {

constexpr char kAuthorityStem[] = "ca";
constexpr int64_t kDaySeconds = 24 * 3600;

struct Authority {
  X509Ptr certificate;
  PkeyPtr key;
};
// ca.crt and ca.key of `directory`. FailedPrecondition when it has expired.
absl::StatusOr<Authority> LoadAuthority(const std::string& directory);
// A signed certificate for `key`; writes nothing. `options.force` and `.directory` are not used.
absl::StatusOr<X509Ptr> SignFor(const IssueOptions& options, const Authority& authority, EVP_PKEY* key);

// Names end up in file names, certificates and messages: letters, digits, '.', '-', '_', and ':' in an IPv6 address; no
// leading
// '.' or '-'. InvalidArgument for others.
absl::Status CheckHostName(const std::string& name);
// AlreadyExists when one of the files is there and !force.
absl::Status RefuseExisting(const CertificateFiles& files, bool force);

}  // namespace uringsync::openssl
