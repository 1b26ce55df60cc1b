// Certificate revocation lists (RFC 5280, section 5) of the authorities that a TlsContext trusts. Inside engine/net only.
//
// Thread rule: immutable once made; share freely.
// Use:  US_ASSIGN_OR_RETURN(Revocations lists, Revocations::FromPem(text, "ca.crl"));
//       US_RETURN_IF_ERROR(lists.CheckIssuers(authorities));   lists.EnforceIn(store);
#pragma once

#include <openssl/x509.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/openssl_util.h"

namespace uringsync::openssl {

using X509CrlPtr = std::unique_ptr<X509_CRL, Deleter<X509_CRL_free>>;

class Revocations {
 public:
  // Every list in a PEM text, at least one. InvalidArgument names `shown`, the file as a person knows it (escaped).
  static absl::StatusOr<Revocations> FromPem(const std::string& pem, const std::string& shown);

  // InvalidArgument for a list that none of `authorities` has signed. FailedPrecondition, with its date, for one whose
  // time is over or has not begun, unless !check_dates.
  absl::Status CheckIssuers(const std::vector<X509Ptr>& authorities, bool check_dates) const;
  // From now on a chain counts in `store` only if there is a list of each of its authorities whose time is not over,
  // and none of its certificates is in it.
  absl::Status EnforceIn(X509_STORE* store) const;
  // Whether a list of its issuer has the certificate.
  bool Revoked(X509* certificate) const;
  size_t entries() const;
  // When the first of the lists ends, seconds since 1970.
  int64_t ends() const;

 private:
  std::vector<X509CrlPtr> lists_;
  std::string shown_;
};

}  // namespace uringsync::openssl
