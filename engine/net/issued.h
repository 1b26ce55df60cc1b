// What an authority has issued, and its revocation list: ca.issued and ca.crl beside ca.crt. Inside engine/net only.
//
// A certificate that was renewed is no longer in a file, but whoever has a copy of it is still let in: so that a name can be
// revoked as a whole, every certificate is written down before it is handed out.
//
// Thread rule: plain blocking functions.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/openssl_util.h"

namespace uringsync::openssl {

constexpr char kIssuedFile[] = "/ca.issued";
constexpr char kRevokedFile[] = "/ca.crl";

// Adds a line "SERIAL SECONDS NAME" (serial in hexadecimal, end in seconds since 1970) and flushes it.
absl::Status NoteIssued(const std::string& directory, const std::string& name, X509* certificate);
// Whether ca.crl of `directory` has it; false without one.
absl::StatusOr<bool> IsRevoked(const std::string& directory, X509* certificate);

}  // namespace uringsync::openssl
